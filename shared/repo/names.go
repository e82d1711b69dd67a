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

// PackName is the object of a pack of the repository's domain:
// data/<domain>/<first two digits>/<id>, or index/….
func (r *Repository) PackName(kind format.PackKind, id ivd.PackID) store.Name {
	dir := "data/"
	if kind == format.IndexPack {
		dir = "index/"
	}
	hex := id.String()
	return store.Name(dir + r.info.Domain.String() + "/" + hex[:2] + "/" + hex)
}

func (r *Repository) writerName(id ivd.WriterID) store.Name {
	return store.Name(writersDir + r.info.Domain.String() + "/" + id.String())
}

func leaseName(id ivd.LeaseID) store.Name  { return store.Name(leasesDir + string(id)) }
func pointName(id ivd.PointID) store.Name  { return store.Name(pointsDir + string(id)) }
func summaryName(run ivd.RunID) store.Name { return store.Name(summariesDir + string(run)) }
