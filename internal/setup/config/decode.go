package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// decode fills *into from YAML. The library's strict mode stops at the first
// complaint; whoever repairs a configuration wants all of them, so the mapping
// is walked here and only the leaves are the library's.
func decode(b []byte, into any) []string {
	file, err := parser.ParseBytes(b, 0)
	if err != nil {
		return []string{yaml.FormatError(err, false, true)}
	}
	if len(file.Docs) != 1 {
		return []string{fmt.Sprintf("want one document, got %d", len(file.Docs))}
	}
	body := file.Docs[0].Body
	if body == nil {
		return nil // an empty file: validation says what is missing
	}
	var d decoder
	d.value(body, reflect.ValueOf(into).Elem(), "")
	return d.problems
}

type decoder struct{ problems []string }

func (d *decoder) complain(n ast.Node, path, format string, args ...any) {
	where := strings.TrimPrefix(path, ".")
	if where == "" {
		where = "top level"
	}
	d.problems = append(d.problems, fmt.Sprintf("line %d: %s: %s", n.GetToken().Position.Line, where, fmt.Sprintf(format, args...)))
}

func (d *decoder) value(n ast.Node, v reflect.Value, path string) {
	switch {
	case n.Type() == ast.NullType: // "key:" with nothing after it is as good as no key
	case v.Kind() == reflect.Struct:
		d.mapping(n, v, path)
	case v.Kind() == reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.complain(n, path, "want a list")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
		for i, item := range seq.Values {
			d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		if err := yaml.NodeToValue(n, v.Addr().Interface(), yaml.Strict()); err != nil {
			d.complain(n, path, "want %s", wanted(v.Type()))
		}
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	m, ok := n.(ast.MapNode)
	if !ok {
		d.complain(n, path, "want keys and values")
		return
	}
	fields := map[string]reflect.Value{}
	for i := range v.NumField() {
		fields[v.Type().Field(i).Tag.Get("yaml")] = v.Field(i)
	}
	seen := map[string]bool{}
	for it := m.MapRange(); it.Next(); {
		key := it.Key().String()
		field, known := fields[key]
		switch {
		case !known:
			d.complain(it.Key(), path+"."+key, "unknown key")
		case seen[key]:
			d.complain(it.Key(), path+"."+key, "is there twice")
		default:
			d.value(it.Value(), field, path+"."+key)
		}
		seen[key] = true
	}
}

func wanted(t reflect.Type) string {
	switch {
	case t.PkgPath() == "time":
		return "a duration with its unit, such as 30s"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	}
	return "text"
}

func oneOf(s string, among ...string) bool { return slices.Contains(among, s) }

// sorted makes complaints gathered from maps come in one order.
func sorted(p []string) []string {
	slices.Sort(p)
	return p
}
