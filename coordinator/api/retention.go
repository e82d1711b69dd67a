package api

import (
	"context"
	"net/http"
	"time"

	"ivdmover/shared/ivd"
)

// Retention gives restore points up, and keeps them whatever retention says. What it
// answers of points comes disk by disk, the newest first.
type Retention interface {
	Forget(ctx context.Context, r ForgetRequest) ([]Verdict, error)
	Pin(ctx context.Context, r KeepRequest) (Point, error)
	Unpin(ctx context.Context, r KeepRequest) (Point, error)
	Hold(ctx context.Context, r KeepRequest) (Point, error)
	Release(ctx context.Context, r KeepRequest) (Point, error)
}

// ForgetRequest asks for points to be given up: those that a policy does not keep, or some
// that are named. With both, those that are named as far as the policy does not keep them.
type ForgetRequest struct {
	Policy string        `json:"policy,omitempty"`
	Points []ivd.PointID `json:"points,omitempty"`  // by what people call them
	DryRun bool          `json:"dry_run,omitempty"` // only say what would become of them
}

// Verdict is what becomes of a point.
type Verdict struct {
	ID        ivd.PointID  `json:"id"`
	ShortID   string       `json:"short_id"`
	Source    ivd.SourceID `json:"source"`
	Disk      ivd.DiskID   `json:"disk"`
	Name      string       `json:"name"` // the disk's, at that time
	VCenter   string       `json:"vcenter"`
	Time      time.Time    `json:"time"`
	Policy    string       `json:"policy,omitempty"` // that made it
	Stays     bool         `json:"stays"`
	Reasons   []string     `json:"reasons"`   // by what it stays, each; or the one why it goes
	Forgotten bool         `json:"forgotten"` // it was given up
}

// KeepRequest asks for a point to be kept, or not any more.
type KeepRequest struct {
	Point  ivd.PointID `json:"point"` // by what people call it
	Reason string      `json:"reason,omitempty"`
	Until  time.Time   `json:"until,omitzero"` // of a hold
}

// Forgotten says that a point was given up.
type Forgotten struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
	Policy string    `json:"policy,omitempty"` // whose rules do not keep it
	Run    ivd.RunID `json:"run,omitempty"`    // at whose end it was
}

func (h *handler) forget(w http.ResponseWriter, r *http.Request) {
	var request ForgetRequest
	err := read(w, r, &request)
	if err == nil && request.Policy == "" && len(request.Points) == 0 {
		err = ivd.Errorf(ivd.Invalid, "name a policy, or points")
	}
	for i := range request.Points {
		if err == nil {
			request.Points[i], err = h.rooms.Archive.Resolve(r.Context(), string(request.Points[i]))
		}
	}
	if err != nil {
		fail(w, err)
		return
	}
	verdicts, err := h.rooms.Retention.Forget(r.Context(), request)
	reply(w, list(verdicts), err)
}

// keep answers what is asked of one point.
func (h *handler) keep(do func(Retention, context.Context, KeepRequest) (Point, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request KeepRequest
		err := read(w, r, &request)
		if err == nil {
			request.Point, err = h.rooms.Archive.Resolve(r.Context(), string(request.Point))
		}
		if err != nil {
			fail(w, err)
			return
		}
		point, err := do(h.rooms.Retention, r.Context(), request)
		reply(w, point, err)
	}
}

// Forget gives points up, or says what would become of them.
func (c *Client) Forget(ctx context.Context, r ForgetRequest) ([]Verdict, error) {
	return call[[]Verdict](ctx, c, http.MethodPost, root+"/forgotten", nil, r)
}

// Pin keeps a point whatever retention says.
func (c *Client) Pin(ctx context.Context, r KeepRequest) (Point, error) {
	return call[Point](ctx, c, http.MethodPost, root+"/pins", nil, r)
}

// Unpin takes a pin off.
func (c *Client) Unpin(ctx context.Context, r KeepRequest) (Point, error) {
	return call[Point](ctx, c, http.MethodPost, root+"/pins/release", nil, r)
}

// Hold keeps a point until a day.
func (c *Client) Hold(ctx context.Context, r KeepRequest) (Point, error) {
	return call[Point](ctx, c, http.MethodPost, root+"/holds", nil, r)
}

// Release ends a hold.
func (c *Client) Release(ctx context.Context, r KeepRequest) (Point, error) {
	return call[Point](ctx, c, http.MethodPost, root+"/holds/release", nil, r)
}
