return seqstate.tickOfUnit(tick);
