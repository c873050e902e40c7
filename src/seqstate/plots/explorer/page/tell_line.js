return seqstate.tellLine(format, value);
