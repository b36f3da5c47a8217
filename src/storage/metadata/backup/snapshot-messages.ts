import type { Row, SnapshotShape, TableShape } from './snapshot.ts'

/** What the thread of a snapshot is asked. It answers each question once, in order. */
export type SnapshotQuestion =
  | { readonly kind: 'begin'; readonly path: string; readonly copy: string }
  | { readonly kind: 'rows'; readonly table: TableShape; readonly goesOn: boolean }

export type SnapshotAnswer =
  | { readonly kind: 'shape'; readonly shape: SnapshotShape }
  /** None: that was all of the table. */
  | { readonly kind: 'rows'; readonly rows: readonly Row[] }
  | { readonly kind: 'failed'; readonly message: string; readonly errcode: number | undefined }
  | { readonly kind: 'damaged'; readonly findings: readonly string[] }

export function isSnapshotQuestion(message: unknown): message is SnapshotQuestion {
  return hasKind(message, ['begin', 'rows'])
}

export function isSnapshotAnswer(message: unknown): message is SnapshotAnswer {
  return hasKind(message, ['shape', 'rows', 'failed', 'damaged'])
}

/** Both ends are ours. */
function hasKind(message: unknown, kinds: readonly string[]): boolean {
  return (
    typeof message === 'object' &&
    message !== null &&
    'kind' in message &&
    typeof message.kind === 'string' &&
    kinds.includes(message.kind)
  )
}
