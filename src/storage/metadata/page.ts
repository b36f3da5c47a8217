/** A page of a list in byte order: at most `limit` names after `after`. */
export interface Page {
  readonly limit: number
  readonly after?: string | undefined
}
