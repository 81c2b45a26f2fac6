"""resources tests"""
