package cli_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// lists are the commands that list or show something, with their golden file.
var lists = map[string][]string{
	"disks":        {"disks"},
	"unprotected":  {"disks", "--unprotected"},
	"snapshots":    {"snapshots"},
	"points":       {"points"},
	"point":        {"point", "show", "data-01@latest"},
	"movers":       {"movers"},
	"runs":         {"runs"},
	"repo":         {"repo", "info"},
	"run-partial":  {"run", "show", string(runA)},
	"run-restore":  {"run", "show", string(runB)},
	"run-followed": {"run", "show", string(runB), "--follow"},
}

func TestTables(t *testing.T) {
	rooms := estate()
	rooms.Put(backup(api.Partial))
	rooms.Put(restore())
	url := serve(t, rooms)
	for name, args := range lists {
		code, out, errs := do(t.Context(), cli.Extra{}, append(args, "--server", url)...)
		want := 0
		if name == "points" { // of which one cannot be read
			want = 3
		}
		if code != want || errs != "" && name != "run-followed" && name != "points" {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
		golden(t, name+".txt", out)
	}
}

func TestEmptyTables(t *testing.T) {
	rooms := estate()
	rooms.DiskList, rooms.PointList, rooms.MoverList = nil, nil, nil
	url := serve(t, rooms)
	for _, name := range []string{"disks", "points", "movers", "runs"} {
		code, out, errs := do(t.Context(), cli.Extra{}, name, "--server", url)
		if code != 0 || errs != "" || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: %d %q %q: want the headings alone", name, code, out, errs)
		}
		if _, out, _ = do(t.Context(), cli.Extra{}, name, "--server", url, "-o", "json"); out != "[]\n" {
			t.Errorf("%s as JSON: %q", name, out)
		}
	}
}

// Where no mover takes jobs, the list of movers says why, and so does a run that waits,
// to who shows it and to who follows it.
func TestWaitingForMovers(t *testing.T) {
	rooms := estate()
	rooms.MoverList = nil
	rooms.Short = &ivd.Error{Kind: ivd.Transient, Err: errors.New("no mover takes jobs: 0 are connected"), Remedy: "start ivd-mover"}
	v := backup(api.Running)
	v.Waiting = "no mover takes jobs: 0 are connected; start ivd-mover"
	rooms.Put(v)
	url := serve(t, rooms)
	for _, args := range [][]string{{"movers"}, {"run", "show", string(runA)}} {
		code, out, errs := do(t.Context(), cli.Extra{}, append(args, "--server", url)...)
		if code != 0 || errs != "" || !strings.Contains(out, v.Waiting+"\n") {
			t.Errorf("%v: %d %q\n%s", args, code, errs, out)
		}
	}
	if _, out, _ := do(t.Context(), cli.Extra{}, "run", "show", string(runA), "--server", url, "-o", "json"); !strings.Contains(out, `"waiting": "no mover takes`) {
		t.Errorf("as JSON: %s", out)
	}
	rooms.Short = nil
	if _, out, _ := do(t.Context(), cli.Extra{}, "movers", "--server", url); strings.Contains(out, "no mover") {
		t.Errorf("with movers: %s", out)
	}
}

// What a backup has asked the store for packs stands in its run, for people and programs.
func TestRequestsOfARun(t *testing.T) {
	rooms := estate()
	v := backup(api.Done)
	v.Stats.Asked, v.Stats.AskedLists = 1234, 7
	rooms.Put(v)
	url := serve(t, rooms)
	if code, out, _ := do(t.Context(), cli.Extra{}, "run", "show", string(runA), "--server", url); code != 0 || !strings.Contains(out, "1234 requests for packs that were built on, 7 of them of listings\n") {
		t.Errorf("%d\n%s", code, out)
	}
	if _, out, _ := do(t.Context(), cli.Extra{}, "run", "show", string(runA), "--server", url, "-o", "json"); !strings.Contains(out, `"asked": 1234`) || !strings.Contains(out, `"asked_lists": 7`) {
		t.Errorf("as JSON: %s", out)
	}
}

// A disk that waits for something that it needs says for what, with the datastore's name.
func TestDisksThatWait(t *testing.T) {
	rooms := estate()
	v := backup(api.Running)
	v.Disks[1].Waiting = "datastore datastore-53: 4 of its disks at a time (limits.datastore_handles)"
	rooms.Put(v)
	url := serve(t, rooms)
	want := "\nwaiting:\n  for datastore nfs: 4 of its disks at a time (limits.datastore_handles): größe\n"
	if code, out, errs := do(t.Context(), cli.Extra{}, "run", "show", string(runA), "--server", url); code != 0 || errs != "" || !strings.Contains(out, want) {
		t.Errorf("%d %q\n%s", code, errs, out)
	}
}

// A list names what it lacks, in every format, and the exit code says so; the rest is
// there.
func TestListsThatLackSomething(t *testing.T) {
	no := ivd.FailureOf(&ivd.Error{Kind: ivd.Transient, Err: errors.New("the host does not answer"), Remedy: "look at the host"})
	rooms := estate()
	rooms.DiskList[1].Unsure = no
	rooms.DiskList[0].Capacity = 0 // vSphere counts whole MiB
	rooms.DiskList = append(rooms.DiskList,
		api.Disk{ID: "99999999-7777-4888-9999-aaaabbbbcccc", Datastore: "nfs", VCenter: "lab", Failure: no},
		api.Disk{Datastore: "old", VCenter: "lab", Failure: no}, api.Disk{VCenter: "other", Failure: no})
	rooms.SnapshotList = append(rooms.SnapshotList, api.Snapshot{Disk: diskB, Name: "größe", Datastore: "nfs", VCenter: "lab", Failure: no}, api.Snapshot{VCenter: "other", Failure: no})
	rooms.UnreadMovers = map[string]error{"proxy-3": errors.New("a newer version")}
	rooms.Put(restore())
	rooms.Put(api.RunDetail{Run: api.Run{ID: "20261124t221500z-99999999", Unread: no}})
	url := serve(t, rooms)
	for name, lacks := range map[string]int{"disks": 4, "snapshots": 2, "movers": 1, "points": 1, "runs": 1} {
		code, out, errs := do(t.Context(), cli.Extra{}, name, "--server", url)
		if code != 3 || !strings.HasPrefix(errs, "ivd: the list lacks ") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q", name, code, errs)
		}
		golden(t, name+"-lacks.txt", out)
		code, out, errs = do(t.Context(), cli.Extra{}, name, "--server", url, "-o", "json")
		if code != 3 || !strings.HasPrefix(errs, "ivd: the list lacks ") || strings.Count(out, `"message"`) != lacks {
			t.Errorf("%s as JSON: exit code %d, %q\n%s", name, code, errs, out)
		}
	}
}

// What a failure says itself of where it was is not said twice.
func TestListsNameAVCenterOnce(t *testing.T) {
	rooms := estate()
	rooms.DiskList = append(rooms.DiskList, api.Disk{VCenter: "other", Failure: &ivd.Failure{Kind: ivd.Transient, Message: "vCenter other: list datastores: away"}})
	code, out, errs := do(t.Context(), cli.Extra{}, "disks", "--server", serve(t, rooms))
	if code != 3 || errs != "ivd: the list lacks vCenter other: list datastores: away\n" || !strings.Contains(out, "\n  vCenter other: list datastores: away") {
		t.Errorf("exit code %d, %q\n%s", code, errs, out)
	}
}

// A run names the disks whose records cannot be read, in every format, and the exit code
// says so; the rest is there.
func TestRunThatLacksADisk(t *testing.T) {
	no := ivd.FailureOf(&ivd.Error{Kind: ivd.Unsupported, Err: errors.New("a newer version"), Remedy: "use the newer ivd that wrote it"})
	rooms := estate()
	for _, v := range []api.RunDetail{backup(api.Done), restore()} {
		v.Disks = append(v.Disks, api.RunDisk{Key: "99999999-7777-4888-9999-aaaabbbbcccc", Unread: no})
		rooms.Put(v)
	}
	url := serve(t, rooms)
	for name, args := range map[string][]string{"backup": {string(runA)}, "restore": {string(runB)}, "followed": {string(runB), "--follow"}} {
		for _, format := range []string{"table", "json"} {
			code, out, errs := do(t.Context(), cli.Extra{}, append([]string{"run", "show", "--server", url, "-o", format}, args...)...)
			if code != 3 || !strings.Contains(errs, "ivd: the list lacks disk 99999999-7777-4888-9999-aaaabbbbcccc: a newer version") || strings.Contains(errs, "failed") {
				t.Errorf("%s as %s: exit code %d, %q", name, format, code, errs)
			}
			if !strings.Contains(out, `data-`) || strings.Count(out, "a newer version") != 1 {
				t.Errorf("%s as %s:\n%s", name, format, out)
			}
		}
	}
}

// JSON and YAML say the same, with the names that the documents promise.
func TestJSONAndYAML(t *testing.T) {
	rooms := estate()
	rooms.Put(backup(api.Partial))
	rooms.Put(restore())
	url := serve(t, rooms)
	promised := map[string][]string{
		"disks":  {"id", "name", "datastore", "capacity", "attached_to", "cbt", "thin", "encrypted", "last_point"},
		"points": {"id", "short_id", "source", "disk", "time", "run", "capacity", "read_bytes", "stored_bytes", "parent"},
		"movers": {"name", "host", "handles", "free", "draining", "vddk", "transports", "active", "bios_uuid", "luns", "paths"},
	}
	for name, args := range lists {
		var fromJSON, fromYAML any
		_, asJSON, _ := do(t.Context(), cli.Extra{}, append(args, "--server", url, "-o", "json")...)
		if err := json.Unmarshal([]byte(asJSON), &fromJSON); err != nil {
			t.Fatalf("%s: %v in %s", name, err, asJSON)
		}
		_, asYAML, _ := do(t.Context(), cli.Extra{}, append(args, "--server", url, "-o", "yaml")...)
		if err := yaml.Unmarshal([]byte(asYAML), &fromYAML); err != nil {
			t.Fatalf("%s: %v in %s", name, err, asYAML)
		}
		again, err := json.Marshal(fromYAML)
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := json.Marshal(fromJSON); string(again) != string(want) {
			t.Errorf("%s: YAML says\n%s\nand JSON\n%s", name, again, want)
		}
		for _, key := range promised[name] {
			if first := fromJSON.([]any)[0].(map[string]any); !hasKey(first, key) {
				t.Errorf("%s: no %q in %v", name, key, first)
			}
		}
	}
	_, out, _ := do(t.Context(), cli.Extra{}, "points", "--server", url, "-o", "yaml")
	golden(t, "points.yaml", out)
}

// A point is shown by whatever people call it, its long name with its slashes included.
func TestPointByAnyName(t *testing.T) {
	url := serve(t, estate())
	for _, name := range []string{string(pointA), "b341d4be", "b341", "data-01@2026-11-25T00:00"} {
		code, out, errs := do(t.Context(), cli.Extra{}, "point", "show", name, "--server", url)
		if code != 0 || errs != "" {
			t.Errorf("%s: exit code %d, %s", name, code, errs)
		}
		golden(t, "point.txt", out)
	}
	code, _, errs := do(t.Context(), cli.Extra{}, "point", "show", "none@latest", "--server", url)
	if code != 1 || !strings.Contains(errs, "none") {
		t.Errorf("exit code %d, %s", code, errs)
	}
}

func hasKey(m map[string]any, key string) bool {
	_, ok := m[key]
	return ok
}

// Where datastores of several vCenters are shown, each line says whose it is.
func TestPathsOfSeveralVCenters(t *testing.T) {
	rooms := estate()
	rooms.MoverList[1].Paths = []job.Path{{Source: "other", Datastore: "datastore-52", Transport: "nbdssl"}}
	_, out, _ := do(t.Context(), cli.Extra{}, "movers", "--server", serve(t, rooms))
	for _, want := range []string{"MOVER    VCENTER  DATASTORE", "proxy-1  lab      nvme-1 ", "proxy-2  other    datastore-52"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nhas no %q", out, want)
		}
	}
}

// What others wrote does not steer the terminal, whichever command shows it.
func TestOthersTextIsShownAsData(t *testing.T) {
	const evil = "e\x1b]0;owned\a\u202e\n2b7f  forged\u009b2J"
	rooms := estate()
	for i := range rooms.DiskList {
		rooms.DiskList[i].Name, rooms.DiskList[i].Datastore, rooms.DiskList[i].AttachedTo = evil, evil, []string{evil}
	}
	rooms.DiskList[1].Failure = &ivd.Failure{Message: evil, Remedy: evil}
	for i := range rooms.PointList {
		rooms.PointList[i].Name, rooms.PointList[i].Datastore = evil, evil
	}
	rooms.PointList[2].Failure = &ivd.Failure{Message: evil}
	rooms.SnapshotList[0].Name, rooms.SnapshotList[0].Description = evil, evil
	rooms.MoverList[0].Active[0].Name, rooms.MoverList[0].Paths[1].Reason = evil, evil
	v := backup(api.Partial)
	for i := range v.Disks {
		v.Disks[i].Name, v.Disks[i].Note, v.Disks[i].Retried = evil, evil, evil
	}
	v.Disks[1].Failure = &ivd.Failure{Message: evil, Remedy: evil}
	rooms.Put(v)
	r := restore()
	r.Disks[0].Target = evil
	rooms.Put(r)
	rooms.Details = map[ivd.PointID]api.PointDetail{pointA: {Product: evil, Was: api.DiskFacts{Path: evil, Tags: []api.Tag{{Category: evil, Name: evil}}}}}
	rooms.Next = v
	url := serve(t, rooms)
	commands := [][]string{{"point", "show", string(pointA)}, {"backup", "--all", "--wait"}, {"restore", evil}, {"disks", "--datastore", evil}, {evil}, {"run", "show", evil}}
	for _, args := range lists {
		if args[0] != "point" {
			commands = append(commands, args)
		}
	}
	for _, args := range commands {
		for _, format := range []string{"table", "json", "yaml"} {
			_, out, errs := do(t.Context(), cli.Extra{}, append(args, "--server", url, "-o", format)...)
			if strings.Contains(errs, "write the result") {
				t.Errorf("%q as %s: %s", args, format, errs)
			}
			for _, bad := range []string{"\x1b", "\a", "\u202e", "\u009b", "\n2b7f"} {
				if strings.Contains(out+errs, bad) {
					t.Errorf("%q as %s lets %q through:\n%q", args, format, bad, out+errs)
				}
			}
		}
	}
}
