package run

import (
	"fmt"
	"reflect"
	"testing"

	"ivdmover/shared/queue"
)

func TestWaysAreToldOnce(t *testing.T) {
	san, hotadd := queue.Refusal{Transport: "san", Reason: "no LUN"}, queue.Refusal{Transport: "hotadd", Reason: "no slot"}
	var w ways
	w.add([]string{"nbdssl"}, []queue.Refusal{san, hotadd})
	w.add([]string{"nbdssl", "", "nbd"}, []queue.Refusal{hotadd})
	if !reflect.DeepEqual(w, ways{[]string{"nbdssl", "nbd"}, []queue.Refusal{san, hotadd}}) {
		t.Errorf("%+v", w)
	}
	for i := range 1000 {
		w.add(nil, []queue.Refusal{{Transport: "san", Reason: fmt.Sprint("mover ", i)}})
	}
	if len(w.refused) != maxRefused {
		t.Errorf("%d reasons", len(w.refused))
	}
}
