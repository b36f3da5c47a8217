/**
 * Arguments that make `setpriv` run a program as an ordinary user: without any right of root's but to read files, because
 * such a user may not be allowed to read the checkout that the program is in.
 */
export const asNobody: readonly string[] = [
  '--reuid=65534',
  '--regid=65534',
  '--clear-groups',
  '--inh-caps=-all,+dac_read_search',
  '--ambient-caps=-all,+dac_read_search',
]
