// How many processors this process may use.
#pragma once

#include <string>

namespace seqstate {

// Those that the system lets it run on, or fewer where a container has a quota of their time;
// at least 1.
int usable_processors();

// The processors that a quota amounts to, rounded up; 0 where there is none. `text` is what Linux
// has in cpu.max: the quota, or "max", and the period, in microseconds.
int processors_of_quota(const std::string& text);

}  // namespace seqstate
