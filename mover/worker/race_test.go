//go:build race

package worker

// raceDetector: the process's memory is then the detector's for the most part.
const raceDetector = true
