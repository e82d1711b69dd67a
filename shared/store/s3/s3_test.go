package s3_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"ivdmover/shared/store"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

func configOf(service storetest.Service) s3.Config {
	return s3.Config{
		Endpoint: service.Endpoint, Bucket: service.Bucket,
		AccessKey: service.AccessKey, SecretKey: service.SecretKey,
	}
}

func open(t *testing.T, c s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	service := storetest.S3(t)
	var n atomic.Int32
	storetest.Run(t, func(t *testing.T) store.Store {
		c := configOf(service)
		c.Prefix = fmt.Sprintf("estate/%d", n.Add(1))
		return open(t, c)
	})
}
