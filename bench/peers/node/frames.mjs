// The frames of both servers: the same as those of the peers in Python.

export function connectedFrame(userId) {
  return { type: "connected", data: { user_id: userId } };
}

export function chatFrame(userId, message) {
  const now = new Date().toISOString();
  return { type: "chat", data: { from_user_id: userId, from_username: `u${userId}`, message, timestamp: now }, timestamp: now };
}
