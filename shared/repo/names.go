package repo

import (
	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

const repoName store.Name = "repo.json"

// Folders of the repository.
const (
	leasesDir    = "leases/"
	writersDir   = "writers/"
	pointsDir    = "points/"
	collectDir   = "collect/"
	retiredDir   = "retired/"
	summariesDir = "runs/"
)

// PackName is the object of a pack: data/<first two digits>/<id>, or index/….
func PackName(kind format.PackKind, id ivd.PackID) store.Name {
	dir := "data/"
	if kind == format.IndexPack {
		dir = "index/"
	}
	hex := id.String()
	return store.Name(dir + hex[:2] + "/" + hex)
}

func leaseName(id ivd.LeaseID) store.Name   { return store.Name(leasesDir + string(id)) }
func writerName(id ivd.WriterID) store.Name { return store.Name(writersDir + id.String()) }
func pointName(id ivd.PointID) store.Name   { return store.Name(pointsDir + string(id)) }
func summaryName(run ivd.RunID) store.Name  { return store.Name(summariesDir + string(run)) }
