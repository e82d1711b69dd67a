package ivd_test

import (
	"reflect"
	"testing"

	"ivdmover/shared/ivd"
)

// What is added can be taken away again, each of the counts.
func TestStatsAddUp(t *testing.T) {
	var one, two ivd.Stats
	for i := range reflect.TypeFor[ivd.Stats]().NumField() {
		reflect.ValueOf(&one).Elem().Field(i).SetInt(int64(i + 1))
		reflect.ValueOf(&two).Elem().Field(i).SetInt(int64(100 * (i + 1)))
	}
	sum := one
	sum.Add(two)
	for i := range reflect.TypeFor[ivd.Stats]().NumField() {
		if n := reflect.ValueOf(sum).Field(i).Int(); n != int64(101*(i+1)) {
			t.Errorf("%s is %d", reflect.TypeFor[ivd.Stats]().Field(i).Name, n)
		}
	}
	if sum.Subtract(two); sum != one {
		t.Errorf("%+v, want %+v", sum, one)
	}
}
