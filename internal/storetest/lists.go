package storetest

import (
	"testing"

	"bridge.example/internal/fault"
	"bridge.example/signedlist"
)

// Lists checks a signedlist.Archive. open returns an empty archive each time.
func Lists(t *testing.T, open func(*testing.T) signedlist.Archive) {
	a := open(t)
	_, _, err := a.Latest(t.Context())
	wantKind(t, err, fault.NotFound)
	wantKind(t, a.Append(t.Context(), 2, []byte{2}, nil), fault.Conflict)
	for n := range int64(3) {
		if err := a.Append(t.Context(), n+1, []byte{byte(n + 1)}, map[string][]byte{"a": {byte(n), 1}, "b": {byte(n), 2}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int64{-1, 0, 1, 3, 5} {
		wantKind(t, a.Append(t.Context(), n, []byte{9}, map[string][]byte{"a": {9}}), fault.Conflict)
	}
	if n, der, err := a.Latest(t.Context()); n != 3 || string(der) != "\x03" || err != nil {
		t.Errorf("got latest %d %x %v, want 3 03", n, der, err)
	}
	if der, err := a.Get(t.Context(), 2); string(der) != "\x02" || err != nil {
		t.Errorf("got list 2 %x %v, want 02", der, err)
	}
	_, err = a.Get(t.Context(), 4)
	wantKind(t, err, fault.NotFound)
	if form, err := a.Form(t.Context(), 2, "b"); string(form) != "\x01\x02" || err != nil {
		t.Errorf("got %x %v, want 0102", form, err)
	}
	for _, missing := range []struct {
		n    int64
		name string
	}{{2, "c"}, {2, ""}, {4, "a"}, {5, "a"}} {
		_, err = a.Form(t.Context(), missing.n, missing.name)
		wantKind(t, err, fault.NotFound)
	}
}
