package restore

// WorkingPrefix and Working are the names of unfinished disks.
const WorkingPrefix = workingPrefix

// Working is the name of a restore's disk until it is done.
var Working = working
