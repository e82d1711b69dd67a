package lab

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"ivdmover/deploy/lab/estate"
	"ivdmover/deploy/lab/script"
	"ivdmover/shared/ivd"
)

const reportPath = "/lab/report"

// Report is what a test or a person looks at after a backup: what was left behind,
// and what was read. The report needs no login.
type Report struct {
	Snapshots []SnapshotLeft                           `json:"snapshots"`
	Disabled  []Disabled                               `json:"disabled_methods"`
	Handles   []estate.OpenHandle                      `json:"handles"`
	MostOpen  int                                      `json:"most_handles"`    // open at once over the network, since the start
	Traffic   map[ivd.DiskID]estate.Traffic            `json:"traffic"`         // over every transport, since the start
	Direct    map[ivd.DiskID]map[string]estate.Traffic `json:"direct_traffic"`  // what of it went over hotadd and san
	Logins    int                                      `json:"logins"`          // sessions that have not ended
	Wrong     int                                      `json:"wrong_logins"`    // refused since the start
	Locked    bool                                     `json:"locked"`          // the account, after five of them
	Prepared  []estate.Access                          `json:"prepared_access"` // PrepareForAccess without its EndAccess
	Misuses   []script.Misuse                          `json:"misuses"`         // rules of the library that programs broke: report.jsonl
}

// SnapshotLeft is a snapshot that exists.
type SnapshotLeft struct {
	Disk        ivd.DiskID     `json:"disk"`
	Name        string         `json:"name"` // the disk's
	Datastore   string         `json:"datastore"`
	ID          ivd.SnapshotID `json:"id"`
	Description string         `json:"description"`
	Created     time.Time      `json:"created"`
}

// Disabled is a method of a machine that somebody has disabled.
type Disabled struct {
	Machine   string     `json:"machine"`
	MachineID string     `json:"machine_id"`
	Method    string     `json:"method"`
	Disk      ivd.DiskID `json:"disk"`
	Identity  string     `json:"identity"`
}

// Report tells the laboratory's state.
func (l *Lab) Report() Report {
	r := Report{
		Snapshots: []SnapshotLeft{}, Disabled: []Disabled{}, Handles: append([]estate.OpenHandle{}, l.estate.Handles()...),
		Traffic: l.estate.Traffic(), Direct: l.estate.Direct(), Logins: l.vc.Sessions(), Prepared: append([]estate.Access{}, l.estate.Prepared()...),
	}
	r.MostOpen = l.data.MostOpen()
	r.Wrong, r.Locked = l.vc.WrongLogins()
	misuses, err := script.Misuses(l.o.Dir)
	if err != nil {
		misuses = append(misuses, script.Misuse{Time: time.Now().UTC(), Rule: "report.jsonl", Detail: err.Error()})
	}
	r.Misuses = append([]script.Misuse{}, misuses...)
	for _, d := range l.estate.All() {
		for _, s := range d.Snapshots {
			r.Snapshots = append(r.Snapshots, SnapshotLeft{
				Disk: d.ID, Name: d.Name, Datastore: d.Datastore, ID: s.ID, Description: s.Description, Created: s.Created,
			})
		}
	}
	for _, h := range l.estate.Holds() {
		r.Disabled = append(r.Disabled, Disabled{
			Machine: h.Machine, MachineID: l.vc.MachineID(h.Machine), Method: "RelocateVM_Task", Disk: h.Disk, Identity: h.Identity,
		})
	}
	return r
}

func (l *Lab) serveReport(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(l.Report()); err != nil {
		l.o.Log.Debug("report not sent", "err", err)
	}
}

// Audit asks a laboratory, which may be another process's, for its report.
func Audit(ctx context.Context, at Ready) (Report, error) {
	var r Report
	u, err := url.Parse(at.URL)
	if err != nil {
		return r, fmt.Errorf("ask the laboratory: %w", err)
	}
	u.Path = reportPath
	config := &tls.Config{
		InsecureSkipVerify: true, // the thumbprint is what is checked
		VerifyConnection: func(s tls.ConnectionState) error {
			got := thumbprint(tls.Certificate{Certificate: [][]byte{s.PeerCertificates[0].Raw}})
			if got != at.Thumbprint {
				return ivd.Errorf(ivd.Denied, "the laboratory's thumbprint is %s, not %s", got, at.Thumbprint)
			}
			return nil
		},
	}
	t := &http.Transport{TLSClientConfig: config}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return r, fmt.Errorf("ask the laboratory: %w", err)
	}
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return r, fmt.Errorf("ask the laboratory: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return r, errors.New("ask the laboratory: " + res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		return r, fmt.Errorf("read the laboratory's report: %w", err)
	}
	return r, nil
}
