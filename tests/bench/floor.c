/* The floor: what it costs to fork, exec and reap a program that does nothing. */
int main(void)
{
	return 0;
}
