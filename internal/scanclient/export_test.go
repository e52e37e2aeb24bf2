package scanclient

// KeptRuns is after how many images a client is replaced.
const KeptRuns = keptRuns
