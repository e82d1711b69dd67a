package engine

import (
	"fmt"
	"reflect"
	"testing"

	"ivdmover/shared/job"
)

func TestWaysAreToldOnce(t *testing.T) {
	san, hotadd := job.Refusal{Transport: "san", Reason: "no LUN"}, job.Refusal{Transport: "hotadd", Reason: "no slot"}
	var w ways
	w.add([]string{"nbdssl"}, []job.Refusal{san, hotadd})
	w.add([]string{"nbdssl", "", "nbd"}, []job.Refusal{hotadd})
	if !reflect.DeepEqual(w, ways{[]string{"nbdssl", "nbd"}, []job.Refusal{san, hotadd}}) {
		t.Errorf("%+v", w)
	}
	for i := range 1000 {
		w.add(nil, []job.Refusal{{Transport: "san", Reason: fmt.Sprint("mover ", i)}})
	}
	if len(w.refused) != maxRefused {
		t.Errorf("%d reasons", len(w.refused))
	}
}
