/** What is told once is worth a sentence. */
export function once(what: string, secret: string): string {
  return `${what}: ${secret}\nIt is shown only now, and kept nowhere: store it well.`
}
