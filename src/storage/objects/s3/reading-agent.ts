import { Agent as HttpAgent, type AgentOptions, type ClientRequestArgs } from 'node:http'
import { Agent as HttpsAgent, type AgentOptions as HttpsAgentOptions } from 'node:https'
import type { OnReadOpts } from 'node:net'
import type { Duplex } from 'node:stream'

/** As much as Node reads at once anyway. */
const readBytes = 64 * 1024

type OnConnection = (error: Error | null, connection: Duplex) => void

/**
 * An agent whose connections read into the same memory again and again, where Node takes new memory for each read. The
 * HTTP parser copies what it keeps, so it does not notice; and without this the garbage collector costs more than all
 * else when a large object is read.
 */
export function readingAgent(options: AgentOptions): HttpAgent {
  return new ReadingHttpAgent(options)
}

/** The same for TLS. */
export function readingHttpsAgent(options: HttpsAgentOptions): HttpsAgent {
  return new ReadingHttpsAgent(options)
}

class ReadingHttpAgent extends HttpAgent {
  override createConnection(options: ClientRequestArgs, onConnection?: OnConnection) {
    return connectReading(onread => super.createConnection({ ...options, ...onread }, onConnection))
  }
}

class ReadingHttpsAgent extends HttpsAgent {
  override createConnection(options: ClientRequestArgs, onConnection?: OnConnection) {
    return connectReading(onread => super.createConnection({ ...options, ...onread }, onConnection))
  }
}

type Connection = Duplex | null | undefined

/** net.Socket's option `onread`: bytes come by a call in place of an event, which the HTTP client waits for. */
function connectReading(connect: (options: { readonly onread: OnReadOpts }) => Connection): Connection {
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(readBytes),
    callback: (length, memory) => {
      connection?.emit('data', memory.subarray(0, length))
      return true
    },
  }
  const connection = connect({ onread })
  return connection
}
