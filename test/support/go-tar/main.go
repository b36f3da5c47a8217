// Reads tar streams with archive/tar and tells what it saw: on standard input frames of a length (4 bytes, big-endian)
// and that many bytes, on standard output one line of JSON for each.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"strings"
)

type entry struct {
	Type     string
	Name     []byte
	Linkname []byte
	Mode     int64
	Uid      int
	Gid      int
	Size     int64
	Seconds  int64
	Nanos    int
	Xattrs   map[string][]byte
	Content  []byte
}

type reading struct {
	Entries []entry
	Error   string
}

const xattrPrefix = "SCHILY.xattr."

func read(archive []byte) reading {
	result := reading{Entries: []entry{}}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return result
		}
		if err != nil {
			result.Error = err.Error()
			return result
		}
		content, err := io.ReadAll(io.LimitReader(reader, 1<<22))
		if err != nil {
			result.Error = err.Error()
			return result
		}
		xattrs := map[string][]byte{}
		for key, value := range header.PAXRecords {
			if name, found := strings.CutPrefix(key, xattrPrefix); found {
				xattrs[name] = []byte(value)
			}
		}
		result.Entries = append(result.Entries, entry{
			string(header.Typeflag), []byte(header.Name), []byte(header.Linkname), header.Mode, header.Uid, header.Gid,
			header.Size, header.ModTime.Unix(), header.ModTime.Nanosecond(), xattrs, content,
		})
	}
}

func main() {
	input := bufio.NewReader(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for {
		var length uint32
		if binary.Read(input, binary.BigEndian, &length) != nil {
			return
		}
		archive := make([]byte, length)
		if _, err := io.ReadFull(input, archive); err != nil {
			return
		}
		if output.Encode(read(archive)) != nil {
			return
		}
	}
}
