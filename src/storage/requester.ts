import type { Abortable } from './abortable.ts'

/** Who asked for something, as the event that tells of it says. */
export interface Requester {
  /** That of the request, which the log has, too. */
  readonly requestId: string
  /** IP address of the client. */
  readonly address: string
  /** Scheme and host by which the client called the registry. */
  readonly scheme: 'http' | 'https'
  readonly host: string
  /** Of the HTTP request. */
  readonly method: string
  readonly userAgent: string
  /** Undefined while nobody has to say who they are. */
  readonly account?: string | undefined
}

/** The last argument of a method that changes something and writes an event of it. */
export interface ChangeOptions extends Abortable {
  /** Undefined: nobody from outside. */
  readonly by?: Requester | undefined
}
