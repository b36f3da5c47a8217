/** The last argument of every asynchronous method that can take long. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined
}
