import { invalidLayer, unsupportedLayer } from '../layer-errors.ts'

/** Keys and values, one character for each byte. */
export type PaxRecords = ReadonlyMap<string, string>

/**
 * Parses `length key=value\n` records. Source: POSIX.1-2024, pax, "pax Header Block", as strict as it is written:
 * readers that forgive wrong lengths disagree about where a record ends.
 * @throws DomainError `invalid`; `unsupported` for GNU's sparse files, whose content is a map and pieces.
 */
export function parsePaxRecords(bytes: Buffer): PaxRecords {
  const text = bytes.toString('latin1')
  const records = new Map<string, string>()
  for (let offset = 0; offset < text.length; ) {
    const space = text.indexOf(' ', offset)
    const digits = text.slice(offset, space)
    const end = offset + Number(digits)
    const equals = text.indexOf('=', space)
    const isSound =
      /^[1-9]\d{0,8}$/.test(digits) && end <= text.length && text[end - 1] === '\n' && equals < end - 1
    if (!isSound || equals <= space + 1) throw invalidLayer('a PAX header has a broken record')
    const key = text.slice(space + 1, equals)
    const value = text.slice(equals + 1, end - 1)
    checkRecord(key, value)
    records.set(key, value)
    offset = end
  }
  return records
}

/** The content's size that a PAX header gives, if it does. */
export function sizeOf(records: PaxRecords): number | undefined {
  const text = records.get('size')
  if (text === undefined) return undefined
  const size = Number(text)
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(size))
    throw invalidLayer(`a PAX header gives the size ${JSON.stringify(text)}`)
  return size
}

const keysOfText: ReadonlySet<string> = new Set(['path', 'linkpath', 'uname', 'gname'])

function checkRecord(key: string, value: string): void {
  if (key.startsWith('GNU.sparse.')) throw unsupportedLayer('it has a sparse file')
  if (key.includes('\0') || (keysOfText.has(key) && value.includes('\0')))
    throw invalidLayer(`the PAX record ${JSON.stringify(key)} has a NUL byte`)
}
