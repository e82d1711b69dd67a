package trust

import (
	"encoding/binary"
	"testing"

	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/repo/repotest"
)

// Damage that was found is neither taken back by a later answer nor forgotten with those
// of good packs, and bars the pack.
func TestDamageStays(t *testing.T) {
	r := repotest.New(t)
	w, err := Open(t.Context(), r.Repository, r.Lease(repo.WriteLease).ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	bad := ivd.PackID{31: 1}
	w.learn(bad, &ivd.Damage{Pack: bad, Why: "it is gone"})
	w.learn(bad, nil)
	if !w.Barred(bad) || w.Barred(ivd.PackID{31: 2}) {
		t.Error("a damaged pack is not barred, or another is")
	}
	for i := range uint32(keptAnswers + 10) {
		var good ivd.PackID
		binary.LittleEndian.PutUint32(good[:], i)
		w.learn(good, nil)
	}
	if !w.Barred(bad) || len(w.asked) > keptAnswers {
		t.Errorf("damage was forgotten, or %d answers are kept", len(w.asked))
	}
}
