package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

func (h *handler) disks(w http.ResponseWriter, r *http.Request) {
	q := DiskQuery{Datastore: r.URL.Query().Get("datastore")}
	if s := r.URL.Query().Get("unprotected"); s != "" {
		b, err := strconv.ParseBool(s)
		if err != nil {
			fail(w, ivd.Errorf(ivd.Invalid, "unprotected=%q: want true or false", s))
			return
		}
		q.Unprotected = b
	}
	disks, err := h.rooms.Estate.Disks(r.Context(), q)
	for i := range disks {
		disks[i].AttachedTo = list(disks[i].AttachedTo)
	}
	reply(w, list(disks), err)
}

func (h *handler) snapshots(w http.ResponseWriter, r *http.Request) {
	snapshots, err := h.rooms.Estate.Snapshots(r.Context())
	reply(w, list(snapshots), err)
}

func (h *handler) deleteSnapshot(w http.ResponseWriter, r *http.Request) {
	err := h.rooms.Estate.DeleteSnapshot(r.Context(), ivd.SnapshotID(r.PathValue("id")), r.URL.Query().Get("vcenter"))
	reply(w, struct{}{}, err)
}

func (h *handler) points(w http.ResponseWriter, r *http.Request) {
	q := PointQuery{Disk: r.URL.Query().Get("disk")}
	var err error
	if s := r.URL.Query().Get("check"); s != "" {
		if q.Check, err = strconv.ParseBool(s); err != nil {
			fail(w, ivd.Errorf(ivd.Invalid, "check=%q: want true or false", s))
			return
		}
	}
	if s := r.URL.Query().Get("all"); s != "" {
		if q.All, err = strconv.ParseBool(s); err != nil {
			fail(w, ivd.Errorf(ivd.Invalid, "all=%q: want true or false", s))
			return
		}
	}
	points, err := h.rooms.Archive.Points(r.Context(), q)
	reply(w, list(points), err)
}

func (h *handler) point(w http.ResponseWriter, r *http.Request) {
	id, err := h.rooms.Archive.Resolve(r.Context(), r.PathValue("point"))
	if err != nil {
		fail(w, err)
		return
	}
	point, err := h.rooms.Archive.Point(r.Context(), id)
	reply(w, point, err)
}

func (h *handler) repo(w http.ResponseWriter, r *http.Request) {
	info, err := h.rooms.Archive.Repository(r.Context())
	reply(w, info, err)
}

func (h *handler) movers(w http.ResponseWriter, r *http.Request) {
	live, err := h.rooms.Movers.Movers(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	unread, err := h.rooms.Movers.Unread(r.Context())
	names := func(p job.Path) (vcenter, datastore string) {
		return h.rooms.Estate.Names(r.Context(), p.Source, p.Datastore)
	}
	movers := make([]Mover, 0, len(live)+len(unread))
	for _, m := range live {
		movers = append(movers, moverOf(m, names))
	}
	for _, name := range slices.Sorted(maps.Keys(unread)) {
		movers = append(movers, Mover{Name: name, Transports: []string{}, Active: []job.Active{}, Failure: ivd.FailureOf(unread[name])})
	}
	reply(w, movers, err)
}

func (h *handler) shortage(w http.ResponseWriter, r *http.Request) {
	why, err := h.rooms.Movers.Shortage(r.Context(), job.Backup)
	reply(w, Shortage{Failure: ivd.FailureOf(why)}, err)
}

func (h *handler) startBackup(w http.ResponseWriter, r *http.Request) {
	var request BackupRequest
	err := read(w, r, &request)
	if err == nil {
		err = request.check()
	}
	if err != nil {
		fail(w, err)
		return
	}
	started(w, r, h.rooms.Runs.StartBackup, request)
}

// check wants disks to be named in exactly one way.
func (r BackupRequest) check() error {
	ways := 0
	for _, named := range []bool{r.All, r.Policy != "", len(r.Disks) > 0} {
		if named {
			ways++
		}
	}
	if ways != 1 {
		return ivd.Errorf(ivd.Invalid, "a backup is of all, of a policy, or of disks: exactly one of them")
	}
	return nil
}

func (h *handler) startRestore(w http.ResponseWriter, r *http.Request) {
	var request RestoreRequest
	err := read(w, r, &request)
	if err == nil {
		request.Point, err = h.rooms.Archive.Resolve(r.Context(), string(request.Point))
	}
	if err != nil {
		fail(w, err)
		return
	}
	started(w, r, h.rooms.Runs.StartRestore, request)
}

func (h *handler) startVerify(w http.ResponseWriter, r *http.Request) {
	var request VerifyRequest
	err := read(w, r, &request)
	if err == nil {
		err = request.check()
	}
	for i := 0; err == nil && i < len(request.Points); i++ {
		request.Points[i], err = h.rooms.Archive.Resolve(r.Context(), string(request.Points[i]))
	}
	if err != nil {
		fail(w, err)
		return
	}
	started(w, r, h.rooms.Runs.StartVerify, request)
}

// check wants points to be named in exactly one way.
func (r VerifyRequest) check() error {
	ways := 0
	for _, named := range []bool{r.All, r.Policy != "", r.Disk != "", len(r.Points) > 0, r.Packs != ""} {
		if named {
			ways++
		}
	}
	if ways != 1 {
		return ivd.Errorf(ivd.Invalid, "a verification is of all points, of a policy's, of a disk's, of some, or of packs: exactly one of them")
	}
	return nil
}

// started starts a run and answers with it; it goes on after the answer.
func started[T any](w http.ResponseWriter, r *http.Request, start func(context.Context, T) (Run, error), request T) {
	run, err := start(r.Context(), request)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Location", root+"/runs/"+string(run.ID))
	answer(w, http.StatusAccepted, run)
}

func (h *handler) runs(w http.ResponseWriter, r *http.Request) {
	runs, err := h.rooms.Runs.Runs(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	page(w, r, runs, func(r Run) string { return string(r.ID) })
}

func (h *handler) run(w http.ResponseWriter, r *http.Request) {
	run, err := h.rooms.Runs.Run(r.Context(), ivd.RunID(r.PathValue("id")))
	reply(w, run, err)
}

func (h *handler) runDisks(w http.ResponseWriter, r *http.Request) {
	disks, err := h.rooms.Runs.RunDisks(r.Context(), ivd.RunID(r.PathValue("id")))
	if err != nil {
		fail(w, err)
		return
	}
	page(w, r, disks, func(d RunDisk) string { return d.Key })
}

func (h *handler) cancel(w http.ResponseWriter, r *http.Request) {
	id := ivd.RunID(r.PathValue("id"))
	if err := h.rooms.Runs.Cancel(r.Context(), id); err != nil {
		fail(w, err)
		return
	}
	h.run(w, r)
}
