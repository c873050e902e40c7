return seqstate.tell(format, special_vars.x, special_vars.y);
