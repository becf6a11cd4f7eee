package auditlog

import (
	"testing"
)

func FuzzDecodeEvent(f *testing.F) {
	f.Add([]byte(`{"number":1,"at":"2026-03-01T12:00:00.5Z","kind":"a.b","of":1,"member":"m","person":"p","credential":"c","evidence":[{"name":"x","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}],"details":{"a":"<ü>"}}`))
	f.Add([]byte(`{"number":1,"at":"2026-03-01T13:00:00+01:00","kind":"a"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEvent(b)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil || string(again) != string(b) {
			t.Errorf("got %q, %v from %q", again, err, b)
		}
	})
}
