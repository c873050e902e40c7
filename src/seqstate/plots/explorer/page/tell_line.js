return seqstate.tellLine(format, value, special_vars.snap_x);
