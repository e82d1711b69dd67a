//go:build !race

package format

func raceRead([]byte)  {}
func raceWrite([]byte) {}
