package telemetry

import (
	"reflect"

	"ivdmover/shared/ivd"
)

var secretType = reflect.TypeFor[ivd.Secret]()

// maxLook bounds how deep a type is searched.
const maxLook = 6

// holdsSecret reports whether a value contains a secret. Formatting by reflection
// prints an unexported field without calling its String method, so the whole value
// is kept out of the log.
func holdsSecret(v any) bool {
	return v != nil && typeHolds(reflect.TypeOf(v), 0)
}

func typeHolds(t reflect.Type, depth int) bool {
	if t == secretType {
		return true
	}
	if depth > maxLook {
		return false
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return typeHolds(t.Elem(), depth+1)
	case reflect.Map:
		return typeHolds(t.Key(), depth+1) || typeHolds(t.Elem(), depth+1)
	case reflect.Struct:
		for i := range t.NumField() {
			if typeHolds(t.Field(i).Type, depth+1) {
				return true
			}
		}
	}
	return false
}
