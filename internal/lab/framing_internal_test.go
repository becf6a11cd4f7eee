package lab

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"testing"
)

// FuzzReadMessage: what is read is in its shortest form, no longer than it
// came, and reads as itself.
func FuzzReadMessage(f *testing.F) {
	for _, seed := range []string{
		"3034020101632f04036f3d610a01020a0100020100020100010100a31704046d61696c040f757365723540612e6578616d706c653000",
		"30840000000702010142840000000000", "3080", "30847fffffff", "30810502010142003000",
	} {
		b, err := hex.DecodeString(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		header, body, err := readMessage(bufio.NewReader(bytes.NewReader(in)))
		if err != nil {
			return
		}
		out := append(header, body...)
		if len(out) > len(in) {
			t.Fatalf("got %x, longer than %x", out, in)
		}
		h, b, err := readMessage(bufio.NewReader(bytes.NewReader(out)))
		if err != nil || !bytes.Equal(append(h, b...), out) {
			t.Fatalf("got %x %x, %v, want %x", h, b, err, out)
		}
		_, _ = operation(out) // must not panic
	})
}
