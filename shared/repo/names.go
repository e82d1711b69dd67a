package repo

import (
	"encoding/hex"
	"strconv"
	"strings"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

const repoName store.Name = "repo.json"

// Folders of the repository.
const (
	dataDir      = "data/"
	indexDir     = "index/"
	leasesDir    = "leases/"
	writersDir   = "writers/"
	pointsDir    = "points/"
	collectDir   = "collect/"
	retiredDir   = "retired/"
	unretiredDir = "unretired/"
	verifiedDir  = "verified/"
	hooksDir     = "hooks/"
	runsDir      = "runs/"
	forgottenDir = "forgotten/"
	pinsDir      = "pins/"
	holdsDir     = "holds/"

	quarantinedDir = "quarantined/"
)

// PackName is the object of a pack of the repository's domain:
// data/<domain>/<first two digits>/<id>, or index/….
func (r *Repository) PackName(kind format.PackKind, id ivd.PackID) store.Name {
	return store.Name(r.packFolder(kind, id[0]) + id.String())
}

// packFolder is where packs of a kind lie whose ids begin so.
func (r *Repository) packFolder(kind format.PackKind, first byte) string {
	dir := dataDir
	if kind == format.IndexPack {
		dir = indexDir
	}
	return r.folder(dir) + hex.EncodeToString([]byte{first}) + "/"
}

func leaseName(id ivd.LeaseID) store.Name { return store.Name(leasesDir + string(id)) }
func pointName(id ivd.PointID) store.Name { return store.Name(pointsDir + string(id)) }

func (r *Repository) writerName(id ivd.WriterID) store.Name {
	return store.Name(r.folder(writersDir) + id.String())
}

func (r *Repository) runName(run ivd.RunID) store.Name {
	return store.Name(r.folder(runsDir) + string(run))
}

// storedName is the list of a run's packs; what a run is called has no dot.
func (r *Repository) storedName(run ivd.RunID) store.Name { return r.runName(run) + ".packs" }

// storedPart is the k-th part of that list, from 1.
func (r *Repository) storedPart(run ivd.RunID, k int) store.Name {
	return r.storedName(run) + store.Name("."+strconv.Itoa(k))
}

// folder is the domain's part of a folder.
func (r *Repository) folder(dir string) string { return dir + r.domain.String() + "/" }

// head is what a record of this repository begins with that is called so.
func (r *Repository) head(name store.Name) format.Head {
	return format.Head{Repository: r.info.ID, Domain: r.domainOf(name), Object: string(name), Program: program()}
}

// at is where a record of this repository was found.
func (r *Repository) at(name store.Name) format.At {
	return format.At{Repository: r.info.ID, Domain: r.domainOf(name), Object: string(name)}
}

// domainOf is the domain that a record of a name says. Names in which there is none are
// those of all domains, and say the repository's own.
func (r *Repository) domainOf(name store.Name) ivd.DomainID {
	switch n := string(name); {
	case !strings.Contains(n, "/"), strings.HasPrefix(n, keysDir), strings.HasPrefix(n, leasesDir):
		return r.info.Domain
	}
	return r.domain
}
