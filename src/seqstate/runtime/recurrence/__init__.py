"""Cells that run over sequences: the native ones, and those that are put together of others."""
