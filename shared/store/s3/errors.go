package s3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"

	"ivdmover/shared/ivd"
)

// failed classifies an error and says what was being done. It is the one place
// that does.
func (s *Store) failed(op string, err error) error {
	if err == nil {
		return nil
	}
	if kind := ivd.KindOf(err); kind != ivd.Unknown {
		var known *ivd.Error
		if errors.As(err, &known) && known.Op == op {
			return err
		}
		return &ivd.Error{Kind: kind, Op: op, Err: err}
	}
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		kind, remedy := s.classify(answer)
		return &ivd.Error{Kind: kind, Op: op, Err: s.said(answer), Remedy: remedy}
	}
	kind, remedy := s.classifyNetwork(err)
	return &ivd.Error{Kind: kind, Op: op, Err: withoutURL(err), Remedy: remedy}
}

// said is an answer in one line, with its code where the text does not explain
// itself.
func (s *Store) said(a minio.ErrorResponse) error {
	text := strings.Join(strings.Fields(a.Error()), " ")
	switch {
	case a.Code == "NoSuchBucket":
		return fmt.Errorf("bucket %s does not exist", s.bucket)
	case foreign(a):
		return fmt.Errorf("the answer is not one of S3: HTTP status %d", a.StatusCode)
	case a.Code != "" && !strings.Contains(text, a.Code):
		return fmt.Errorf("%s (%s)", strings.TrimSuffix(text, "."), a.Code)
	}
	return errors.New(strings.TrimSuffix(text, "."))
}

// foreign tells an answer that no S3 service wrote: a proxy's page, or another
// server at the address. Its "not found" says nothing of an object.
func foreign(a minio.ErrorResponse) bool {
	return a.StatusCode == http.StatusNotFound && a.XMLName.Local != "Error"
}

// classify decides by the code, which says more than the status, and by the
// status where the code is not known.
func (s *Store) classify(a minio.ErrorResponse) (ivd.Kind, string) {
	if foreign(a) {
		return ivd.Unknown, "see that repository.endpoint is an S3 service and that nothing between answers for it"
	}
	if s.refusesChecksum(a) {
		return ivd.Unsupported, "set repository.checksum to md5: this store does not take the header with a CRC-32C"
	}
	if m, ok := codes[a.Code]; ok {
		return m.kind, m.remedy
	}
	if strings.Contains(a.Message, "HTTP request to an HTTPS server") {
		return ivd.Invalid, "begin repository.endpoint with https://"
	}
	switch status := a.StatusCode; {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ivd.Denied, codes["AccessDenied"].remedy
	case status == http.StatusPreconditionFailed:
		return ivd.Exists, ""
	case status == http.StatusInsufficientStorage, status == http.StatusRequestEntityTooLarge:
		return ivd.Full, remedyFull
	case status == http.StatusNotImplemented:
		return ivd.Unsupported, ""
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return ivd.Transient, ""
	case status == http.StatusConflict:
		return ivd.Conflict, ""
	case status == http.StatusMovedPermanently, status == http.StatusTemporaryRedirect:
		return ivd.Invalid, remedyRegion
	case status == http.StatusBadRequest && a.XMLName.Local != "Error" && s.core.EndpointURL().Scheme == "http":
		return ivd.Invalid, remedyTLS // no service of S3 answers so
	case status == http.StatusBadRequest:
		return ivd.Invalid, ""
	}
	return ivd.Unknown, ""
}

const (
	remedyFull   = "free space, or raise the quota of the bucket"
	remedyRegion = "set repository.region to the bucket's region"
	remedyTLS    = "begin repository.endpoint with https:// if the service has TLS"
	remedyClock  = "set this host's clock (NTP)"
)

type meaning struct {
	kind   ivd.Kind
	remedy string
}

// codes are S3's error codes and those that MinIO, Ceph and Versity add.
var codes = map[string]meaning{
	"NoSuchKey":         {ivd.NotFound, ""},
	"NoSuchBucket":      {ivd.Unmet, "create it, or correct repository.url"},
	"InvalidBucketName": {ivd.Invalid, "correct the bucket in repository.url"},

	"AccessDenied":          {ivd.Denied, "give these credentials the rights to list the bucket and to read and write its objects"},
	"AllAccessDisabled":     {ivd.Denied, "ask the service's operator why the bucket is disabled"},
	"InvalidAccessKeyId":    {ivd.Denied, "correct the access key: the service does not know it"},
	"XAdminUserNotFound":    {ivd.Denied, "correct the access key: the service does not know it"},
	"SignatureDoesNotMatch": {ivd.Denied, "correct the secret key: it does not belong to the access key"},
	"RequestTimeTooSkewed":  {ivd.Denied, remedyClock},
	"RequestExpired":        {ivd.Denied, remedyClock},
	"ExpiredToken":          {ivd.Expired, "renew the temporary credentials"},
	"InvalidToken":          {ivd.Denied, "renew the temporary credentials"},
	"TokenRefreshRequired":  {ivd.Denied, "renew the temporary credentials"},
	"UserSuspended":         {ivd.Denied, "ask the service's operator why the key's user is suspended"},
	"InvalidObjectState":    {ivd.Permanent, "bring the object back from its archive class first"},

	"QuotaExceeded":                      {ivd.Full, remedyFull},
	"XMinioStorageFull":                  {ivd.Full, remedyFull},
	"XMinioAdminBucketQuotaExceeded":     {ivd.Full, remedyFull},
	"XMinioBucketQuotaExceeded":          {ivd.Full, remedyFull},
	"EntityTooLarge":                     {ivd.Full, remedyFull},
	"InsufficientStorage":                {ivd.Full, remedyFull},
	"StorageFull":                        {ivd.Full, remedyFull},
	"PreconditionFailed":                 {ivd.Exists, ""},
	"ConditionalRequestConflict":         {ivd.Conflict, ""},
	"OperationAborted":                   {ivd.Transient, ""},
	"SlowDown":                           {ivd.Transient, ""},
	"SlowDownRead":                       {ivd.Transient, ""},
	"SlowDownWrite":                      {ivd.Transient, ""},
	"Throttling":                         {ivd.Transient, ""},
	"ThrottlingException":                {ivd.Transient, ""},
	"RequestLimitExceeded":               {ivd.Transient, ""},
	"RequestThrottled":                   {ivd.Transient, ""},
	"RequestTimeout":                     {ivd.Transient, ""},
	"IncompleteBody":                     {ivd.Transient, ""},
	"InternalError":                      {ivd.Transient, ""},
	"ServiceUnavailable":                 {ivd.Transient, ""},
	"XMinioServerNotInitialized":         {ivd.Transient, ""},
	"BadDigest":                          {ivd.Transient, ""}, // damaged on its way: send it again
	"XAmzContentChecksumMismatch":        {ivd.Transient, ""},
	"NotImplemented":                     {ivd.Unsupported, ""},
	"AuthorizationHeaderMalformed":       {ivd.Invalid, remedyRegion},
	"AuthorizationQueryParametersError":  {ivd.Invalid, remedyRegion},
	"PermanentRedirect":                  {ivd.Invalid, remedyRegion},
	"TemporaryRedirect":                  {ivd.Invalid, remedyRegion},
	"InvalidRegion":                      {ivd.Invalid, remedyRegion},
	"IllegalLocationConstraintException": {ivd.Invalid, remedyRegion},
}

// classifyNetwork is about requests that were not answered.
func (s *Store) classifyNetwork(err error) (ivd.Kind, string) {
	endpoint := s.core.EndpointURL()
	var (
		authority x509.UnknownAuthorityError
		name      x509.HostnameError
		expired   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		dns       *net.DNSError
	)
	switch {
	case errors.As(err, &authority):
		return ivd.Invalid, "set repository.ca_file to the certificate that signed the service's"
	case errors.As(err, &name):
		return ivd.Invalid, "name the host in repository.endpoint as its certificate does"
	case errors.As(err, &expired):
		return ivd.Unmet, "renew the service's certificate, or set this host's clock"
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return ivd.Invalid, "begin repository.endpoint with http://, or turn TLS on at the service"
	case endpoint.Scheme == "http" && strings.Contains(err.Error(), "malformed HTTP response"):
		return ivd.Invalid, remedyTLS
	case errors.As(err, &dns) && dns.IsNotFound:
		return ivd.Transient, "correct the host in repository.endpoint (" + endpoint.Host + "), or the name service"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return ivd.Transient, "see that the S3 service at " + endpoint.Host + " runs and can be reached"
	}
	return ivd.Transient, ""
}
