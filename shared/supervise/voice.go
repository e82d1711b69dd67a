package supervise

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// voiceDescriptor is where the child finds the pipe by which it speaks to its parent.
const voiceDescriptor = 4

// lostVariable tells a child how many slots are held by its predecessors.
const lostVariable = "IVD_SLOTS_LOST"

// Voice is by what a child tells its supervisor that it lives.
type Voice struct{ pipe *os.File }

// Speak returns the child's voice, after Bind. It is used by one goroutine.
func Speak() *Voice {
	syscall.CloseOnExec(voiceDescriptor)
	return &Voice{os.NewFile(voiceDescriptor, "supervisor")}
}

// speakEvery is how often a child gives a sign of life.
const speakEvery = time.Second

// kernelEvery is after how many signs of life the process's threads are looked at.
const kernelEvery = 10

// Live gives signs of life for as long as alive says so, which also says how many slots
// are held, and no thread hangs in the kernel; and passes on that relieve was closed: another process should take over
// what this one has not begun. It does not return before the process ends.
func (v *Voice) Live(alive func() (slots int, lives bool), relieve <-chan struct{}) {
	tick := time.NewTicker(speakEvery)
	defer tick.Stop()
	threads, hung := newThreads(), false
	for n := 0; ; n++ {
		if n%kernelEvery == kernelEvery-1 {
			hung = threads.hang()
		}
		if slots, lives := alive(); lives && !hung {
			fmt.Fprintf(v.pipe, "alive %d\n", slots)
		}
		select {
		case <-relieve:
			relieve = nil
			fmt.Fprintln(v.pipe, "relieve")
		case <-tick.C:
		}
	}
}

// LostSlots is how many slots of this child's are held by processes before it: one that
// hangs in a call and was relieved, or that was killed and does not die.
func LostSlots() int {
	n, err := strconv.Atoi(os.Getenv(lostVariable))
	if err != nil {
		return 0
	}
	return n
}
