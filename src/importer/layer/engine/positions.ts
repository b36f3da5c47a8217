/**
 * The arithmetic of a ring of bytes. A position is a running count of bytes modulo 2^32, as one element of an
 * Int32Array holds it, so it goes on counting where it overflows; a capacity is a power of two, so that the places of
 * positions in the ring follow each other there too.
 */

/** Bytes that follow each other in the ring's memory. */
export interface Span {
  readonly start: number
  readonly length: number
}

/** The smallest ring that still lets both sides work at once, and the largest that positions can tell full from empty. */
const minCapacity = 4 * 1024
const maxCapacity = 1024 ** 3

/** The largest capacity of at most `bytes`, within what a ring can have. */
export function capacityOf(bytes: number): number {
  const fitting = 2 ** Math.floor(Math.log2(Math.max(bytes, minCapacity)))
  return Math.min(fitting, maxCapacity)
}

export function advance(position: number, bytes: number): number {
  return (position + bytes) | 0
}

/** Bytes between two positions: what was written and not yet read. */
export function filled(written: number, read: number): number {
  return (written - read) >>> 0
}

/** Where at most `wanted` bytes can be written at once; of length 0 when the ring is full. */
export function spanToWrite(written: number, read: number, capacity: number, wanted: number): Span {
  return spanAt(written, Math.min(wanted, capacity - filled(written, read)), capacity)
}

/** What can be read at once, at most `wanted` bytes; of length 0 when the ring is empty. */
export function spanToRead(written: number, read: number, capacity: number, wanted: number): Span {
  return spanAt(read, Math.min(wanted, filled(written, read)), capacity)
}

function spanAt(position: number, length: number, capacity: number): Span {
  const start = position & (capacity - 1)
  return { start, length: Math.min(length, capacity - start) }
}
