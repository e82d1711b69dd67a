package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"reflect"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"

	"ivdmover/shared/ivd"
)

// meaning is what a fault of the vSphere API is to us.
type meaning struct {
	kind   ivd.Kind
	remedy string
}

// meanings is the table of faults, by the API's own names.
var meanings = map[string]meaning{
	"NotFound":              {ivd.NotFound, ""},
	"ManagedObjectNotFound": {ivd.NotFound, ""},
	"FileNotFound":          {ivd.NotFound, ""},
	"InvalidDatastore":      {ivd.NotFound, "look at `ivd disks` for where the disk is now"},
	"InvalidDatastorePath":  {ivd.NotFound, ""},

	"InvalidArgument": {ivd.Invalid, ""},
	"InvalidName":     {ivd.Invalid, "choose another name"},

	"InvalidLogin":      {ivd.Denied, "check username and password_file of this vCenter"},
	"SecurityError":     {ivd.Denied, "grant the privilege to this vCenter's username"},
	"NoPermission":      {ivd.Denied, "grant the privilege to this vCenter's username"},
	"RestrictedVersion": {ivd.Denied, "use a licence that allows the vStorage API"},
	"NotAuthenticated":  {ivd.Expired, ""},

	"DuplicateName":     {ivd.Exists, "choose another name"},
	"AlreadyExists":     {ivd.Exists, "choose another name"},
	"FileAlreadyExists": {ivd.Exists, "choose another name"},

	"NotSupported":   {ivd.Unsupported, ""},
	"NotImplemented": {ivd.Unsupported, ""},
	"MethodNotFound": {ivd.Unsupported, ""},
	"InvalidRequest": {ivd.Unsupported, ""}, // how old versions answer an unknown method

	"NoDiskSpace":              {ivd.Full, "free space on the datastore"},
	"InsufficientStorageSpace": {ivd.Full, "free space on the datastore"},

	"TaskInProgress":   {ivd.Locked, "wait for what is being done with the disk"},
	"ConcurrentAccess": {ivd.Locked, "wait for what is being done with the disk"},
	"ResourceInUse":    {ivd.Locked, "wait for what is being done with the disk"},
	"FileLocked":       {ivd.Locked, "wait for what is being done with the disk"},
	"InvalidState":     {ivd.Locked, "detach the disk, or wait for what is being done with it"},
	"CannotDeleteFile": {ivd.Locked, "detach the disk, or wait for what is being done with it"},

	"GenericVmConfigFault": {ivd.Permanent, ""},

	"CannotAccessFile":  {ivd.Transient, ""},
	"FileFault":         {ivd.Transient, ""},
	"HostCommunication": {ivd.Transient, ""},
	"HostNotConnected":  {ivd.Transient, ""},
	"HostNotReachable":  {ivd.Transient, ""},
	"RequestCanceled":   {ivd.Transient, ""},
	"SystemError":       {ivd.Transient, ""},
	"Timedout":          {ivd.Transient, ""},
	"VslmFault":         {ivd.Transient, ""},
	"PbmFault":          {ivd.Transient, ""},
	"CnsFault":          {ivd.Transient, ""},
}

// changeMeanings is what differs for questions about changed areas: there, most
// faults say that the question has no answer, and that the disk must be read
// without it.
var changeMeanings = map[string]meaning{
	"InvalidArgument": {ivd.Conflict, "none is needed: the next backup reads what is allocated"}, // a change id of another series
	"InvalidState":    {ivd.Unsupported, ""},                                                     // tracking is not supported for this disk
	"FileFault":       {ivd.Unsupported, ""},                                                     // asked for a time before tracking began
}

// failAside is fail for a call of a service that a vCenter may be without, or that a
// user may not ask: with the privilege, and with the service's name if it is not
// that of disks.
func failAside(ctx context.Context, op string, err error, privilege, service string) error {
	grant := meaning{ivd.Denied, "grant " + privilege + " on the vCenter itself to its username"}
	err = failIn(ctx, op, err, map[string]meaning{"NoPermission": grant, "PbmFaultNoPermission": grant, "SecurityError": grant})
	var e *ivd.Error
	if !errors.As(err, &e) || service == "" {
		return err
	}
	switch text := httpStatus(e.Err); {
	case strings.HasPrefix(text, "404"):
		e.Kind = ivd.Unsupported
		fallthrough
	case text != "":
		e.Remedy = "look whether the vCenter's service " + service + " runs"
	}
	return err
}

// fail makes an error of the API, of the network or of ctx an *ivd.Error. nil
// stays nil, and what is one already keeps its kind.
func fail(ctx context.Context, op string, err error) error { return failIn(ctx, op, err, nil) }

func failIn(ctx context.Context, op string, err error, special map[string]meaning) error {
	if err == nil {
		return nil
	}
	var known *ivd.Error
	if errors.As(err, &known) {
		return fmt.Errorf("%s: %w", op, err)
	}
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return &ivd.Error{Kind: ivd.Cancelled, Op: op, Err: err}
	}
	if v := vimFault(err); v != nil {
		return faultError(op, err, v, special)
	}
	kind, remedy := network(err)
	return &ivd.Error{Kind: kind, Op: op, Err: plain(err), Remedy: remedy}
}

func faultError(op string, err error, v any, special map[string]meaning) error {
	name := typeName(v)
	m, known := special[name]
	if !known {
		m, known = meanings[name]
	}
	text := name
	if msg := strings.TrimPrefix(err.Error(), "ServerFaultCode: "); msg != "" && msg != name {
		text += ": " + msg
	}
	switch f := v.(type) {
	case types.NoPermission:
		text = "no permission: " + f.PrivilegeId
		if f.Object != nil {
			text += " on " + f.Object.Value
		}
	case types.InvalidArgument:
		if f.InvalidProperty != "" {
			text += " (" + f.InvalidProperty + ")"
		}
	}
	if !known { // what it was caused by may say more
		if c := cause(v); c != nil {
			return faultError(op, errors.New(text), c, special)
		}
	}
	return &ivd.Error{Kind: m.kind, Op: op, Err: errors.New(text), Remedy: m.remedy}
}

// network classifies what is no fault: the connection, the certificate, an answer
// that is none of the vSphere API.
func network(err error) (ivd.Kind, string) {
	const other = "check the vCenter's url: what answers there is no vSphere API"
	var (
		bad    *untrusted
		dns    *net.DNSError
		op     *net.OpError
		syntax *xml.SyntaxError
		markup xml.UnmarshalError
	)
	switch {
	case errors.As(err, &bad):
		return ivd.Invalid, fmt.Sprintf("if that is your vCenter, set its thumbprint to %q", bad.got)
	case errors.As(err, &dns):
		return ivd.Transient, "check the host name in the vCenter's url, and DNS on this host"
	case errors.As(err, &op) && op.Op == "dial":
		return ivd.Transient, "check the vCenter's url, and that nothing blocks the way from this host"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &op):
		return ivd.Transient, ""
	case errors.As(err, &syntax), errors.As(err, &markup):
		return ivd.Invalid, other
	case httpStatus(plain(err)) != "":
		if strings.HasPrefix(httpStatus(plain(err)), "4") {
			return ivd.Invalid, other
		}
		return ivd.Transient, "" // 502 and 503 while a vCenter starts
	}
	return ivd.Unknown, ""
}

// httpStatus is the status of HTTP that an answer had instead of content, such as
// "404 Not Found", or empty.
func httpStatus(err error) string {
	var status interface{ Temporary() bool } // as errors of the network are, too
	if text := err.Error(); errors.As(err, &status) && text != "" && text[0] >= '1' && text[0] <= '5' {
		return text
	}
	return ""
}

// plain drops what url.Error says about our own request.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// vimFault is the API's fault within err, as a value, or nil. It comes in the
// answer to a call, or in a task that failed.
func vimFault(err error) any {
	var f interface{ Fault() types.BaseMethodFault }
	if !errors.As(err, &f) {
		return nil
	}
	return value(f.Fault())
}

// faultName is the API's name of the fault within err, or empty.
func faultName(err error) string { return typeName(vimFault(err)) }

func typeName(v any) string {
	if v == nil {
		return ""
	}
	return reflect.TypeOf(v).Name()
}

// value turns a pointer to a fault into the fault: they come as both.
func value(v any) any {
	r := reflect.ValueOf(v)
	for r.Kind() == reflect.Pointer {
		if r.IsNil() {
			return nil
		}
		r = r.Elem()
	}
	if !r.IsValid() {
		return nil
	}
	return r.Interface()
}

func cause(v any) any {
	r := reflect.New(reflect.TypeOf(v))
	r.Elem().Set(reflect.ValueOf(v))
	f, ok := r.Interface().(types.BaseMethodFault)
	if !ok || f.GetMethodFault() == nil || f.GetMethodFault().FaultCause == nil {
		return nil
	}
	return value(f.GetMethodFault().FaultCause.Fault)
}
