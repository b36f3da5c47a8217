import pg from 'pg'
import { DomainError, type ErrorCode, errnoOf } from '../../errors.ts'
import type { Failures } from './database.ts'

/** No connection could be had. */
export class NotConnected extends Error {
  constructor(cause: unknown) {
    super('no connection to the database', { cause })
  }
}

/** The connection broke while a transaction was being committed: it may have been. */
class CommitInDoubt extends Error {
  constructor(cause: unknown) {
    super('a commit got no answer', { cause })
  }
}

interface Failure {
  readonly code: ErrorCode
  readonly what: string
  /** Whether it is only a matter of time, as far as anybody can tell from here. */
  readonly mayPass: boolean
}

const unavailable = (what: string): Failure => ({ code: 'unavailable', what, mayPass: true })
/** Somebody has to do something about it first. */
const misconfigured = (what: string): Failure => ({ code: 'unavailable', what, mayPass: false })

const stopping = unavailable('it is starting, stopping or restarting; try again')
const broken = unavailable('the connection broke; try again')
const unreachable = unavailable('its host cannot be reached; check the network')
const silent = unavailable('it does not answer in time; look at its load and the network')
const refused = misconfigured('it does not accept the user and the password; check database.url')
const damaged = misconfigured('its disk or its data are damaged; look at its log')
const untrusted = misconfigured(
  'its certificate is not trusted; check sslmode and sslrootcert in database.url',
)
const expired = misconfigured(
  "its certificate is not valid at this time; renew it, or correct this machine's clock",
)
const otherName = misconfigured(
  'its certificate is one for other host names; call the host in database.url as the certificate does',
)
const inTheClear = misconfigured(
  'it takes no connection of this user without TLS; add sslmode=verify-full to database.url',
)

/** By SQLSTATE: postgresql.org/docs/current/errcodes-appendix.html. What only a bug can cause is left out. */
const byState: ReadonlyMap<string, Failure> = new Map([
  ['08000', broken],
  ['08001', broken],
  ['08003', broken],
  ['08004', refused],
  ['08006', broken],
  ['25006', unavailable('it is read-only, as a standby is; point database.url at the primary server')],
  ['25P03', silent],
  ['28000', refused],
  ['28P01', refused],
  ['3D000', misconfigured('there is no database of that name; create it first')],
  ['40001', unavailable('too many transactions were in the way; try again')],
  ['40P01', unavailable('too many transactions were in the way; try again')],
  [
    '42501',
    misconfigured('the user lacks a right to it; grant that, or run `varve db migrate` as its owner'),
  ],
  ['53100', { code: 'no_space', what: 'its disk is full; free some space and try again', mayPass: false }],
  ['53200', unavailable('it is out of memory; try again')],
  ['53300', unavailable('it has no connection left; raise its max_connections or lower database.poolSize')],
  ['55P03', unavailable('another transaction has kept a row locked for too long; try again')],
  ['57014', silent],
  ['57P01', stopping],
  ['57P02', stopping],
  ['57P03', stopping],
  ['57P04', stopping],
  ['57P05', stopping],
  ['58030', damaged],
  ['XX001', damaged],
  ['XX002', damaged],
])

/** By the code of Node's network and TLS errors. */
const byErrno: ReadonlyMap<string, Failure> = new Map([
  ['ECONNREFUSED', unavailable('nothing listens there; start it or check database.url')],
  ['ENOENT', unavailable('nothing listens there; start it or check database.url')],
  ['EACCES', misconfigured('its socket may not be used by this user')],
  ['ENOTFOUND', unavailable('its host has no address; check database.url and the DNS')],
  ['EAI_AGAIN', unavailable('its host has no address at the moment; check the DNS')],
  ['ECONNRESET', broken],
  ['EPIPE', broken],
  ['ETIMEDOUT', unreachable],
  ['EHOSTUNREACH', unreachable],
  ['ENETUNREACH', unreachable],
  ['ERR_TLS_CERT_ALTNAME_INVALID', otherName],
  ['CERT_HAS_EXPIRED', expired],
  ['CERT_NOT_YET_VALID', expired],
  ['CERT_SIGNATURE_FAILURE', untrusted],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', untrusted],
  ['SELF_SIGNED_CERT_IN_CHAIN', untrusted],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', untrusted],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', untrusted],
])

/** pg gives its own errors no code. */
const byMessage: ReadonlyMap<string, Failure> = new Map([
  ['Connection terminated', broken],
  ['Connection terminated unexpectedly', broken],
  ['Client has encountered a connection error and is not queryable', broken],
  ['Client was closed and is not queryable', broken],
  ['Query read timeout', silent],
  ['Connection terminated due to connection timeout', silent],
  [
    'timeout exceeded when trying to connect',
    unavailable('all connections of this process are busy; raise database.poolSize'),
  ],
  [
    'The server does not support SSL connections',
    misconfigured('it does not offer TLS; check sslmode in database.url'),
  ],
])

/**
 * What a pooler says in the place of the server, by what it says: pgbouncer gives nearly all of it one SQLSTATE
 * (protocol_violation), and ends the connection.
 */
const byPooler: readonly (readonly [said: RegExp, Failure])[] = [
  [
    /transaction blocks not allowed/,
    misconfigured(
      'the pooler in between shares connections between statements; set its pool_mode to transaction or session',
    ),
  ],
  [
    /unsupported startup parameter/,
    misconfigured(
      'the pooler in between does not take a parameter of database.url; leave that out, or let the pooler ignore it (ignore_startup_parameters)',
    ),
  ],
  [/no such database/, misconfigured('the pooler in between knows no database of that name; add it there')],
  [/no such user|auth(?:entication)? failed/, refused],
  [
    /no more connections allowed/,
    unavailable('the pooler in between takes no more clients; raise its max_client_conn'),
  ],
  [
    /^query_wait_timeout/,
    unavailable(
      'the pooler in between has no connection free, or cannot reach the database; look at its log, and raise its pool size if need be',
    ),
  ],
  [/^server conn crashed/, broken],
  [/./, unavailable('the pooler in between cannot use it at the moment; look at its log')],
]
const protocolViolation = '08P01'

/** What others' transactions cause: serialization_failure, deadlock_detected. */
const inTheWay: ReadonlySet<string> = new Set(['40001', '40P01'])
/** foreign_key_violation: what a transaction has found is deleted before it can refer to it. */
const gone = '23503'

export interface PostgresFailures extends Failures {
  /** What is told of a failure that waiting may help against. */
  readonly whatMayPass: (error: unknown) => DomainError | undefined
}

/** The one place that knows pg's errors. @param name of the database, for messages. */
export function postgresFailures(name: string): PostgresFailures {
  const told = (error: unknown, { code, what }: Failure): DomainError =>
    new DomainError(
      code,
      `The database ${name} cannot be used: ${what}.`,
      { resource: 'database', name },
      { cause: error },
    )
  return {
    whatMayPass: error => {
      const failure = describe(error)
      return failure?.mayPass ? told(error, failure) : undefined
    },
    isTransient: error =>
      // Of a connection that has been idle, nobody knows whether it still is one. The next attempt takes another.
      failureOf(error) === broken ||
      failureOf(error) === stopping ||
      (error instanceof pg.DatabaseError && (inTheWay.has(error.code ?? '') || error.code === gone)),
    convert: error => {
      const failure = describe(error)
      return failure === undefined ? error : told(error, failure)
    },
  }
}

/** Whether the connection that a statement failed on is not to be used again. */
export function endsSession(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return true
  // A server that has become read-only has a successor, which a new connection may find.
  return /^(?:08|57P|25P03|25006)/.test(error.code ?? '')
}

/** The server says no, and has rolled back; or it says nothing, and nobody knows. */
export function asCommitFailure(error: unknown): unknown {
  return endsSession(error) ? new CommitInDoubt(error) : error
}

function describe(error: unknown): Failure | undefined {
  if (error instanceof NotConnected)
    return failureOf(error.cause) ?? unavailable('it cannot be connected to; the log says why')
  if (error instanceof CommitInDoubt)
    return unavailable('the connection broke at a commit, so the change may have been stored; try again')
  return failureOf(error)
}

function failureOf(error: unknown): Failure | undefined {
  if (!(error instanceof Error)) return undefined
  if (error instanceof pg.DatabaseError) {
    if (error.code === '28000' && error.message.endsWith('no encryption')) return inTheClear
    return byState.get(error.code ?? '') ?? poolerFailureOf(error)
  }
  return byErrno.get(errnoOf(error) ?? '') ?? byMessage.get(error.message)
}

/** The server itself blames us with an ERROR: that is a bug. */
function poolerFailureOf({ code, severity, message }: pg.DatabaseError): Failure | undefined {
  if (code !== protocolViolation || severity !== 'FATAL') return undefined
  return byPooler.find(([said]) => said.test(message))?.[1]
}
