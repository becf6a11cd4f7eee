package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRules wants an RPC without a rule, or with an empty one, refused by name.
func TestRules(t *testing.T) {
	for rule, refused := range map[string]bool{"": true, "option (rule) = {};": true, "option (rule) = {anyone: true};": false, "option deprecated = true;": true} {
		dir := t.TempDir()
		text := `syntax = "proto3";
package bridge.v1;
import "google/protobuf/descriptor.proto";
option go_package = "x/y;y";
message Rule { bool anyone = 1; }
extend google.protobuf.MethodOptions { Rule rule = 50001; }
message M {}
service S { rpc Novelty(M) returns (M) { ` + rule + ` } }`
		if err := os.WriteFile(filepath.Join(dir, "x.proto"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := run(t.Context(), dir, false)
		if refused != (err != nil && strings.Contains(err.Error(), "bridge.v1.S.Novelty has no rule")) || !refused && err != nil {
			t.Errorf("%q: got %v", rule, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "x.pb.go")); refused == (err == nil) {
			t.Errorf("%q: code is there: %t", rule, err == nil)
		}
	}
}
