// What Go's own archive/tar makes of trees and headers: the measure of src/oci/tar_writer.cc and layer_archive.cc.
//
//	go run layer_tar.go tree [-uid N] [-gid N] [-by-path] DISK NAME    DISK as NAME, with all in it, as an exporter of buildpack apps packs it
//	go run layer_tar.go headers FILE                                   the headers of FILE alone, one JSON object a line, without contents
//	go run layer_tar.go match                                          pattern TAB path, a line each, from stdin: "yes", "no" or "bad"
//
// The standard library is all it needs. The archive goes to stdout.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type item struct {
	path, name string
	info       fs.FileInfo
}

func tree(arguments []string) {
	flags := flag.NewFlagSet("tree", flag.ExitOnError)
	uid, gid := flags.Int("uid", 0, ""), flags.Int("gid", 0, "")
	byPath := flags.Bool("by-path", false, "in the order of whole names")
	must(flags.Parse(arguments))
	disk, name := flags.Arg(0), flags.Arg(1)
	var items []item
	must(filepath.Walk(disk, func(path string, info fs.FileInfo, err error) error {
		items = append(items, item{path, name + strings.TrimPrefix(path, disk), info})
		return err
	}))
	if *byPath {
		sort.SliceStable(items, func(i, j int) bool { return items[i].name < items[j].name })
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	writer := tar.NewWriter(out)
	for _, it := range items {
		if it.info.Mode()&fs.ModeSocket != 0 {
			continue
		}
		target := ""
		if it.info.Mode()&fs.ModeSymlink != 0 {
			var err error
			target, err = os.Readlink(it.path)
			must(err)
		}
		header, err := tar.FileInfoHeader(it.info, target)
		must(err)
		header.Name, header.Uid, header.Gid, header.Uname, header.Gname = it.name, *uid, *gid, "", ""
		header.ModTime = time.Date(1980, 1, 1, 0, 0, 1, 0, time.UTC)
		must(writer.WriteHeader(header))
		if it.info.Mode().IsRegular() {
			file, err := os.Open(it.path)
			must(err)
			_, err = io.Copy(writer, file)
			must(err)
			must(file.Close())
		}
	}
	must(writer.Close())
	must(out.Flush())
}

type described struct {
	Type                                     string
	Name, Link                               []byte // base64 in JSON: names need not be UTF-8
	Mode, Uid, Gid, Size, Time, Major, Minor int64
}

func headers(file string) {
	text, err := os.ReadFile(file)
	must(err)
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var d described
		must(json.Unmarshal(line, &d))
		var out bytes.Buffer
		err := tar.NewWriter(&out).WriteHeader(&tar.Header{
			Typeflag: d.Type[0], Name: string(d.Name), Linkname: string(d.Link), Mode: d.Mode, Uid: int(d.Uid), Gid: int(d.Gid),
			Size: d.Size, ModTime: time.Unix(d.Time, 0), Devmajor: d.Major, Devminor: d.Minor})
		if err != nil {
			out.Reset()
			out.WriteString("refused\n")
		}
		_, err = out.WriteTo(os.Stdout)
		must(err)
	}
}

func match() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		pattern, path, _ := strings.Cut(lines.Text(), "\t")
		ok, err := filepath.Match(pattern, path)
		switch {
		case err != nil:
			fmt.Println("bad")
		case ok:
			fmt.Println("yes")
		default:
			fmt.Println("no")
		}
	}
	must(lines.Err())
}

func main() {
	if len(os.Args) < 2 {
		must(fmt.Errorf("layer_tar tree|headers|match …"))
	}
	switch os.Args[1] {
	case "tree":
		tree(os.Args[2:])
	case "headers":
		headers(os.Args[2])
	case "match":
		match()
	default:
		must(fmt.Errorf("layer_tar tree|headers|match …"))
	}
}
