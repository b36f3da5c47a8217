import type { ServerResponse } from 'node:http'
import type { Asked, Liar, Lie } from './liar.ts'

/** In each Location and realm that liars make up: where it is told, a presigned address was. */
export const addressSecret = 'adresse9c4e'

/** What no terminal may be sent: an escape sequence, a bell, a line end, C1, a change of the direction of text. */
export const evilText = 'evil\u001b[31m\u0007\r\nX\u009b31m\u202e'

const tick = 100

/** Sends the same again and again until the other side has had enough. */
function forever({ method }: Asked, response: ServerResponse, chunk: Buffer): void {
  // Of an answer to HEAD nothing is sent, so it would never be full.
  if (method === 'HEAD') return void response.end()
  const more = (): void => {
    if (response.destroyed) return
    if (response.write(chunk)) setImmediate(more)
    else response.once('drain', more)
  }
  more()
}

/** Writes past the parser of HTTP. */
function raw(socket: Asked['socket'], text: string | Buffer, end = false): void {
  socket.write(text)
  if (end) socket.end()
}

/** A piece at a time, until the other side has had enough. */
function drip(socket: Asked['socket'], head: string, piece: string): void {
  socket.write(head)
  const timer = setInterval(() => {
    if (socket.destroyed) clearInterval(timer)
    else socket.write(piece)
  }, tick)
  socket.once('close', () => clearInterval(timer))
}

function redirect(to: (asked: Asked, liar: Liar) => string): Lie {
  return (asked, response, liar) => {
    response.writeHead(307, { location: to(asked, liar) }).end()
    return true
  }
}

function status(code: number, headers: Record<string, string> = {}, body = ''): Lie {
  return (_, response) => {
    response.writeHead(code, headers).end(body)
    return true
  }
}

/** The truth with other bytes. */
function bytes(change: (body: Buffer) => Buffer, headers: Record<string, string> = {}): Lie {
  return (asked, response, liar) => {
    const truth = liar.truthOf(asked)
    if (truth.status >= 300) return false
    liar.answer(response, asked.method, {
      ...truth,
      headers: { ...truth.headers, ...headers },
      body: change(truth.body),
    })
    return true
  }
}

/** The lies that anything can be answered with. */
export const forms: Readonly<Record<string, Lie>> = {
  'other bytes': bytes(body => Buffer.concat([body.subarray(0, -2), Buffer.from('~~')])),
  'no bytes': bytes(() => Buffer.alloc(0)),
  'half of the bytes, as if they were all': bytes(body => body.subarray(0, body.length >> 1)),
  'more bytes': bytes(body => Buffer.concat([body, body])),
  'gzip in place of it': bytes(() => Buffer.from('1f8b0800000000000003030000000000', 'hex'), {
    'content-encoding': 'gzip',
  }),
  'a page of HTML': (_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>')
    return true
  },
  'JSON that is no object': status(200, { 'content-type': 'application/json' }, 'null'),
  'JSON of a million brackets': status(200, { 'content-type': 'application/json' }, '['.repeat(1_000_000)),
  'half of the bytes, broken off': (asked, response, liar) => {
    const { headers, body } = liar.truthOf(asked)
    response.writeHead(200, { ...headers, 'content-length': String(body.length) })
    response.write(body.subarray(0, body.length >> 1), () => response.destroy())
    return true
  },
  'an endless body': (asked, response, liar) => {
    response.writeHead(200, liar.truthOf(asked).headers)
    forever(asked, response, Buffer.alloc(16_384, ' '))
    return true
  },
  'an endless body of a petabyte': (asked, response, liar) => {
    response.writeHead(200, { ...liar.truthOf(asked).headers, 'content-length': '999999999999999' })
    forever(asked, response, Buffer.alloc(16_384, ' '))
    return true
  },
  'endless headers': ({ socket }) => {
    drip(socket, 'HTTP/1.1 200 OK\r\n', `x-more: ${'x'.repeat(8000)}\r\n`)
    return true
  },
  'headers that never end, slowly': ({ socket }) => {
    drip(socket, 'HTTP/1.1 200 OK\r\nx: ', 'y')
    return true
  },
  'early hints for ever': ({ socket }) => {
    drip(socket, '', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n')
    return true
  },
  'a byte at a time': ({ socket }) => {
    drip(socket, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\n{\r\n')
    return true
  },
  'a byte at a time, of as many as there are': (asked, _, liar) => {
    if (asked.method === 'HEAD') return false
    const { status: code, headers, body } = liar.truthOf(asked)
    const lines = Object.entries({ ...headers, 'content-length': body.length }).map(line => line.join(': '))
    drip(asked.socket, `HTTP/1.1 ${code} OK\r\n${lines.join('\r\n')}\r\n\r\n`, ' ')
    return true
  },
  silence: () => true,
  'a closed connection': ({ socket }) => {
    socket.destroy()
    return true
  },
  'a connection that is closed amid the headers': ({ socket }) => {
    raw(socket, 'HTTP/1.1 200 OK\r\ncontent-len', true)
    return true
  },
  'what is no HTTP': ({ socket }) => {
    raw(socket, 'SSH-2.0-liar\r\n\r\n', true)
    return true
  },
  'two lengths': ({ socket }) => {
    raw(socket, 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x', true)
    return true
  },
  'a length that is none': ({ socket }) => {
    raw(socket, 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}', true)
    return true
  },
  '204': status(204),
  '206 of nothing': status(206, { 'content-range': 'bytes 0-1/2' }, '{}'),
  '304': status(304),
  '400': status(400, {}, JSON.stringify({ errors: [{ code: evilText, message: evilText.repeat(1000) }] })),
  '401 for ever': (_, response, liar) => {
    const realm = `http://${liar.host}/token?sig=${addressSecret}`
    response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="x"` }).end()
    return true
  },
  '401 without a word': status(401),
  '401 with 2 000 parameters': (_, response) => {
    const parameters = Array.from({ length: 2000 }, (__, n) => `a${n}="b"`).join()
    response.writeHead(401, { 'www-authenticate': `Bearer ${parameters}` }).end()
    return true
  },
  '401 with 10 000 parameters': (_, response) => {
    const parameters = Array.from({ length: 10_000 }, (__, n) => `a${n}="b"`).join()
    response.writeHead(401, { 'www-authenticate': `Bearer ${parameters}` }).end()
    return true
  },
  '403': status(403),
  '429 for ten years': status(429, { 'retry-after': '315360000' }),
  '429 for minus a second': status(429, { 'retry-after': '-1' }),
  '429 until 9999': status(429, { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }),
  '429 for nobody knows how long': status(429, { 'retry-after': '9'.repeat(400) }),
  '500': status(500, {}, evilText),
  '503': status(503, { 'retry-after': '1' }),
  '599': status(599),
  'a redirect to itself': redirect(({ path }) => `${path}?sig=${addressSecret}`),
  'a redirect to more and more': redirect(({ query }, liar) => {
    const more = Number(query.get('n') ?? 0) + 1
    return `http://${liar.host}/other?n=${more}&sig=${addressSecret}`
  }),
  'a redirect to nowhere': status(307),
  'a redirect to what is no address': status(307, { location: 'http://[' }),
  'a redirect to a file': status(307, { location: `file:///etc/passwd?sig=${addressSecret}` }),
  'a redirect to a port that nobody has': status(307, {
    location: `http://127.0.0.1:1/?sig=${addressSecret}`,
  }),
}
