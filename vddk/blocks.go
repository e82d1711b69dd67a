package vddk

// #include "shim.h"
import "C"

import (
	"unsafe"
)

// Block is a run of sectors.
type Block struct {
	Offset, Length uint64
}

// maxChunks is how many chunks one call may ask about.
const maxChunks = 512 * 1024

// QueryAllocated returns which of count sectors from start on are allocated, as runs
// in ascending order whose ends are multiples of chunk. start must be a multiple of
// chunk, and chunk at least MinChunk. The library cannot be asked about a last part
// smaller than a chunk, which counts as allocated. Long ranges take several calls.
//
// Implements: VixError VixDiskLib_QueryAllocatedBlocks(VixDiskLibHandle diskHandle, VixDiskLibSectorType startSector, VixDiskLibSectorType numSectors, VixDiskLibSectorType chunkSize, VixDiskLibBlockList **blockList),
// VixError VixDiskLib_FreeBlockList(VixDiskLibBlockList *blockList)
//
// Sectors that were written on the same handle just before may be missing. With a
// library older than 6.7, and with some transports, it fails with class Fallback.
func (h *Handle) QueryAllocated(start, count, chunk uint64) ([]Block, error) {
	what := "allocated blocks of " + h.name
	if chunk < MinChunk || start%chunk != 0 || start > h.info.Capacity || count > h.info.Capacity-start {
		return nil, newError(what, 3, "start must be a multiple of the chunk, the chunk at least 128 sectors, the range within the disk", "")
	}
	var blocks []Block
	end := start + count
	for at := start; at < end; {
		n := min((end-at)/chunk, maxChunks) * chunk
		if n == 0 {
			blocks = appendBlock(blocks, Block{at, end - at})
			break
		}
		var err error
		if blocks, err = h.query(blocks, at, n, chunk, what); err != nil {
			return nil, err
		}
		at += n
	}
	return blocks, nil
}

func (h *Handle) query(blocks []Block, at, n, chunk uint64, what string) ([]Block, error) {
	call := h.lib.newCall(C.IVD_QUERY, "")
	defer call.free()
	call.c.sector, call.c.count, call.c.chunk = C.uint64_t(at), C.uint64_t(n), C.uint64_t(chunk)
	if err := h.do(call, what); err != nil {
		return nil, err
	}
	if call.c.blocks == nil {
		return blocks, nil
	}
	for _, b := range unsafe.Slice(call.c.blocks, call.c.block_count) {
		block := Block{uint64(b.offset), uint64(b.length)}
		if block.Length == 0 || block.Offset < at || block.Offset > at+n || block.Length > at+n-block.Offset {
			return nil, newError(what, 1, "the library answered a block outside what was asked for", "")
		}
		blocks = appendBlock(blocks, block)
	}
	return blocks, nil
}

// appendBlock joins a block to the last one where they touch.
func appendBlock(blocks []Block, b Block) []Block {
	if n := len(blocks); n > 0 && blocks[n-1].Offset+blocks[n-1].Length == b.Offset {
		blocks[n-1].Length += b.Length
		return blocks
	}
	return append(blocks, b)
}
