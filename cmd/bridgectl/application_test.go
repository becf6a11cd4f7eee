package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bridge.example/api/convert"
	"bridge.example/membership"
)

// TestTemplate: the annotated application can be submitted, and names every key
// there is.
func TestTemplate(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"root.pem", "issuing.pem"} {
		write(t, filepath.Join(dir, name), pemOf(newAuthority(t, name).cert.Raw))
	}
	for _, name := range []string{"cp.pdf", "cps.pdf"} {
		write(t, filepath.Join(dir, name), []byte(name))
	}
	file := filepath.Join(dir, "application.yaml")
	write(t, file, []byte(applicationTemplate))
	d, err := readDraft(file, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.documents) != 2 || string(d.documents[1].content) != "cps.pdf" {
		t.Errorf("got documents %v", d.documents)
	}
	for _, f := range []any{applicationFile{}, caFile{}, documentFile{}, membership.Contact{}, membership.Policy{}, membership.Directory{}, membership.TestSerials{}} {
		for _, key := range keys(reflect.TypeOf(f)) {
			if !strings.Contains(applicationTemplate, key+":") {
				t.Errorf("the template does not tell of %q", key)
			}
		}
	}
}

func keys(t reflect.Type) (out []string) {
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		key := tag.Get("yaml")
		if key == "" {
			key, _, _ = strings.Cut(tag.Get("json"), ",")
		}
		out = append(out, key)
	}
	return out
}

// TestRowsShowEverything: what an approval binds is shown. Any change of any
// field of an application changes the lines that a person reads.
func TestRowsShowEverything(t *testing.T) {
	root, other := newAuthority(t, "one").cert.Raw, newAuthority(t, "two").cert.Raw
	ca := membership.CA{
		Certificate: root, OCSP: []string{"http://o"}, CRL: []string{"http://c"}, Chain: [][]byte{other},
		TestSerials: membership.TestSerials{Valid: "1", Revoked: "2", Unused: "3"},
	}
	full := membership.Application{
		ID: "alpha", Name: "Alpha", Country: "DE", Contacts: []membership.Contact{{Name: "A", Email: "a@b.c", Phone: "1", Role: "x"}},
		MailDomains: []string{"a.example"}, Policies: []membership.Policy{{Member: "1.2.3", Bridge: "1.2.4", Section: "7"}},
		Directories: []membership.Directory{{URL: "ldap://h", Base: "o=a", Dialect: "389", BindDN: "cn=b", Credential: "p", StartTLS: true, TestMailbox: "t@a.example"}},
		Anchors:     []membership.CA{ca}, Intermediates: []membership.CA{ca}, CrossCertificates: [][]byte{other},
		DirectoryNames: []string{"O=a"}, ExcludedDomains: []string{"x.a.example"}, CrossProfile: membership.Compatible,
		RegisterNumber: "1", Address: "s", Sector: "m", Website: "http://w", Languages: []string{"de"},
		Services: []membership.Service{membership.OnList}, OneWay: true, Delivery: membership.ToSite, Escrow: true,
		Documents: []membership.Document{{Kind: membership.PolicyDocument, Hash: "00", Name: "n", Title: "t", Version: "v", Date: "d", OID: "1.2", Link: "l", Expires: now()}},
	}
	shown := func(a membership.Application) string { return lines(newRecord(convert.FromApplication(a)).rows()) }
	want := shown(full)
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		saved := reflect.New(v.Type()).Elem()
		saved.Set(v)
		if v.IsZero() {
			t.Errorf("%s is empty: the test does not reach it", path)
		}
		v.SetZero()
		if shown(full) == want {
			t.Errorf("%s: a change of it is not shown", path)
		}
		v.Set(saved)
		switch {
		case v.Type() == reflect.TypeOf(now()):
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
			for i := range v.Len() {
				walk(path+"[]", v.Index(i))
			}
		}
	}
	for i, v := 0, reflect.ValueOf(&full).Elem(); i < v.NumField(); i++ {
		walk(v.Type().Field(i).Name, v.Field(i))
	}
}

// TestCompare: what is taken out and put in makes the new of the old.
func TestCompare(t *testing.T) {
	for _, tt := range []struct{ old, new, want string }{
		{"", "", ""},
		{"", "ab", "+a+b"},
		{"ab", "", "-a-b"},
		{"abc", "abc", ""},
		{"abc", "axc", "-b+x"},
		{"ab", "ba", "-a+a"},
		{"aab", "ab", "-a"},
	} {
		split := func(s string) (r rows) {
			for c := range strings.SplitSeq(s, "") {
				r.add("line", c)
			}
			return r
		}
		var got string
		for _, d := range compare(split(tt.old), split(tt.new)) {
			got += map[string]string{"added": "+", "removed": "-"}[d.Change] + d.Value
		}
		if got != tt.want {
			t.Errorf("%q to %q: got %q, want %q", tt.old, tt.new, got, tt.want)
		}
	}
}

// TestCompareIsBounded: what no register takes is compared as a whole.
func TestCompareIsBounded(t *testing.T) {
	var a, b rows
	for i := range 10_000 {
		a.add("line", fmt.Sprint(i))
		b.add("line", fmt.Sprint(-i))
	}
	if n := len(compare(a, b)); n != 2*9_999 { // they share 0
		t.Errorf("got %d differences", n)
	}
}

// TestStepsAreVerbs: every verb that a person decides has a command.
func TestStepsAreVerbs(t *testing.T) {
	var have []membership.Verb
	for _, s := range steps() {
		have = append(have, s.verb)
	}
	for _, v := range membership.Verbs() {
		if len(membership.Deciders(v)) > 0 && v != membership.Approve && !slices.Contains(have, v) {
			t.Errorf("no command for %q", v)
		}
	}
}

// TestHelpTellsTheJSON: each key of a member is in the help that documents it.
func TestHelpTellsTheJSON(t *testing.T) {
	help := strings.FieldsFunc(new(tool).memberShow().Long, func(r rune) bool { return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') })
	var walk func(reflect.Type)
	walk = func(v reflect.Type) {
		for v.Kind() == reflect.Slice || v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct || v == reflect.TypeOf(now()) {
			return
		}
		for i := range v.NumField() {
			f := v.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if key != "" && !slices.Contains(help, key) {
				t.Errorf("%s.%s: the help does not tell of %q", v.Name(), f.Name, key)
			}
			if f.Type != v && (v != reflect.TypeOf(certificate{}) || f.Name != "Chain") {
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeOf(member{}))
}
