const kibi = 1024
const bytesOf: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  K: kibi,
  M: kibi ** 2,
  G: kibi ** 3,
  T: kibi ** 4,
  P: kibi ** 5,
}
const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

const size = /^(\d{1,16}(?:\.\d{1,6})?) ?(?:(|B|K|M|G|T|P)|(K|M|G|T|P)(?:i|iB))$/i
const duration = /^(\d{1,10}(?:\.\d{1,6})?) ?(s|m|h|d|w)$/

/** `50G`, `1.5 TiB`, `4096`: bytes, in units of 1024 as zfs has them. A sentence when it is none. */
export function parseSize(text: string): number | string {
  const [, number, bare = '', binary] = size.exec(text.trim()) ?? []
  const bytes = Math.floor(Number(number) * (bytesOf[(binary ?? bare).toUpperCase()] ?? Number.NaN))
  return Number.isSafeInteger(bytes)
    ? bytes
    : `Write a number of bytes, such as 50G, 1.5T or 800MiB (units of 1024).`
}

/** `30d`, `12h`, `90m`, `2w`: seconds. A sentence when it is none. */
export function parseDuration(text: string): number | string {
  const [, number, unit = ''] = duration.exec(text.trim()) ?? []
  const seconds = Math.round(Number(number) * (secondsOf[unit] ?? Number.NaN))
  return Number.isSafeInteger(seconds)
    ? seconds
    : `Write a time with its unit, such as 30d, 2w, 12h, 90m or 45s.`
}
