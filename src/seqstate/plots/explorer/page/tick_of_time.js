return seqstate.tickOfTime(tick);
