package supervise

import (
	"os"
	"time"
)

// Listen sets how often a supervisor looks, and how often before it goes on without a
// child that does not die of kill. undo sets what was before.
func Listen(every time.Duration, looks int, kill func(*os.Process)) (undo func()) {
	e, u, k := listenEvery, unburied, killProcess
	listenEvery, unburied, killProcess = every, looks, kill
	return func() { listenEvery, unburied, killProcess = e, u, k }
}
