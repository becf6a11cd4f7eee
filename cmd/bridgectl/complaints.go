package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// complaints gathers what is wrong with an application, and where.
type complaints struct {
	source []byte
	list   []problem
}

type problem struct {
	line       int // 0: nowhere in particular
	path, text string
}

func (c *complaints) add(path, text string) {
	c.list = append(c.list, problem{c.line(path), path, text})
}

// String is one line for each, in the order of the file.
func (c *complaints) String() string {
	slices.SortStableFunc(c.list, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var lines []string
	for _, p := range c.list {
		s := p.path + ": " + p.text
		if p.line > 0 {
			s = fmt.Sprintf("line %d: %s", p.line, s)
		}
		lines = append(lines, s)
	}
	return strings.Join(lines, "\n")
}

// complaint is one of those that [membership.Application.Validate] joins.
var complaint = regexp.MustCompile(`^([a-z_]+(?:\[\d+\])?(?:\.[a-z_]+)?(?:\[\d+\])?): (.*)`)

// addAll takes apart what Validate found, and leaves out what follows from
// complaints already made.
func (c *complaints) addAll(err error) {
	if err == nil {
		return
	}
	for part := range strings.SplitSeq(strings.TrimPrefix(err.Error(), "application: "), "; ") {
		m := complaint.FindStringSubmatch(part)
		switch last := len(c.list) - 1; {
		case m == nil && last >= 0: // the text of a complaint has a semicolon of its own
			c.list[last].text += "; " + part
		case m == nil:
			c.add("application", part)
		case !slices.ContainsFunc(c.list, func(p problem) bool { return p.path == m[1] }):
			c.add(m[1], m[2])
		}
	}
}

// line is where path, or the nearest thing around it, stands; 0 where nothing
// of it does.
func (c *complaints) line(path string) int {
	file, err := parser.ParseBytes(c.source, 0)
	for err == nil && path != "" {
		if node := find(file, path); node != nil {
			return node.GetToken().Position.Line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

func find(file *ast.File, path string) ast.Node {
	p, err := yaml.PathString("$." + path)
	if err != nil {
		return nil
	}
	node, err := p.FilterFile(file)
	if err != nil {
		return nil
	}
	return node
}
