"""The tour: what a recurrent layer gives, shown on a year of real hourly temperatures."""
